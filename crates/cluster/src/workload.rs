//! Arrivals: the legitimate request rate over time.

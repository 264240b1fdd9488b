//! HPA: the cases of Kubernetes' own tests, our own, the rules that no case pins, and the
//! controller that runs one HPA per service.

mod cases;
mod controller;
mod rules;

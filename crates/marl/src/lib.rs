//! Teams of agents: their guides, their policies, and how they are trained.

pub mod ground;

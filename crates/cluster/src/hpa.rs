//! Kubernetes' horizontal pod autoscaler as a pure function.

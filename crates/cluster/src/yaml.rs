//! The only reader of YAML.

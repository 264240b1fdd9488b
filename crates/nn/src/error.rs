/// Why stored parameters could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NnError {
    /// The bytes are no safetensors file.
    #[error("not a safetensors file: {0}")]
    Format(String),
    /// A tensor that the shape asks for is not there.
    #[error("tensor {0:?} is missing")]
    Missing(String),
    /// A tensor has another shape.
    #[error("tensor {name:?} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that was asked for.
        expected: Vec<usize>,
    },
    /// A tensor holds something else than 32-bit floats.
    #[error("tensor {name:?} holds {found}, expected F32")]
    Kind {
        /// Its name.
        name: String,
        /// Kind in the file.
        found: String,
    },
    /// A tensor holds NaN or an infinity.
    #[error("tensor {0:?} holds a value that is not finite")]
    NotFinite(String),
}

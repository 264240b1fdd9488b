//! Parameters in files: safetensors with one JSON string of metadata.

use std::{borrow::Cow, collections::BTreeMap};

use safetensors::{Dtype, SafeTensors, View};

use crate::NnError;

/// One named array of 32-bit floats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Length of every dimension, outermost first.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// Named tensors and a text; what one safetensors file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Archive {
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Free text, JSON by custom; kept in the header under `karma`.
    pub metadata: String,
}

impl Archive {
    /// Adds a tensor.
    ///
    /// # Panics
    /// If `values` does not fill `shape`.
    pub fn insert(&mut self, name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) {
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "a tensor fills its shape"
        );
        self.tensors.insert(name.into(), Tensor { shape, values });
    }

    /// The tensor called `name`, checked to have `shape` and finite values.
    ///
    /// # Errors
    /// [`NnError`] naming the tensor.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&[f32], NnError> {
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| NnError::Missing(name.to_owned()))?;
        if tensor.shape != shape {
            return Err(NnError::Shape {
                name: name.to_owned(),
                found: tensor.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        if tensor.values.iter().any(|value| !value.is_finite()) {
            return Err(NnError::NotFinite(name.to_owned()));
        }
        Ok(&tensor.values)
    }
}

/// Bytes of a tensor as safetensors wants to see them.
struct Bytes<'a> {
    shape: &'a [usize],
    bytes: Vec<u8>,
}

impl View for Bytes<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Serialises an archive; equal archives give equal bytes.
///
/// # Errors
/// [`NnError::Format`] if a header cannot be made.
pub fn to_bytes(archive: &Archive) -> Result<Vec<u8>, NnError> {
    let views = archive.tensors.iter().map(|(name, tensor)| {
        let bytes = tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        (
            name,
            Bytes {
                shape: &tensor.shape,
                bytes,
            },
        )
    });
    // One key only: safetensors keeps them in a hash map, whose order would differ.
    let metadata = [("karma".to_owned(), archive.metadata.clone())];
    safetensors::serialize(views, Some(metadata.into_iter().collect()))
        .map_err(|e| NnError::Format(e.to_string()))
}

/// Reads what [`to_bytes`] wrote. Values are not checked here but in [`Archive::get`].
///
/// # Errors
/// [`NnError::Format`] or [`NnError::Kind`].
pub fn from_bytes(bytes: &[u8]) -> Result<Archive, NnError> {
    let fail = |e: safetensors::SafeTensorError| NnError::Format(e.to_string());
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(fail)?;
    let mut archive = Archive {
        metadata: header
            .metadata()
            .as_ref()
            .and_then(|m| m.get("karma").cloned())
            .unwrap_or_default(),
        ..Archive::default()
    };
    for (name, view) in SafeTensors::deserialize(bytes).map_err(fail)?.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(NnError::Kind {
                name: name.to_owned(),
                found: format!("{:?}", view.dtype()),
            });
        }
        let values = view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        archive.insert(name, view.shape().to_vec(), values);
    }
    Ok(archive)
}

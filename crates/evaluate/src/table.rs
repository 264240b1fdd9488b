//! The comparison as text for a terminal.

use crate::summary::Summary;

pub(crate) fn render(summary: &Summary) -> String {
    let _ = summary;
    todo!()
}

//! Pages of the layer: a small escaping writer, one look, no script.
//!
//! | file | what it holds |
//! |---|---|
//! | `page` | the writer of a page |
//! | `style` | [`PageStyle`]: name, logo, colour, footer and texts |
//! | `texts` | the texts that can be translated |

mod page;
mod style;
mod texts;

pub use self::style::PageStyle;
pub(crate) use self::{
    page::{FieldKind, Page},
    style::push_escaped,
};

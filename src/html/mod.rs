//! Pages of the layer: a small escaping writer, one look, and no script but the one that copies a new token.
//!
//! | file | what it holds |
//! |---|---|
//! | `dates` | dates and relative times |
//! | `page` | the writer of a page |
//! | `style` | [`PageStyle`]: name, logo, colour, footer and texts |
//! | `texts` | the texts that can be translated |

mod dates;
mod page;
mod style;
mod texts;

#[cfg(feature = "hub-server")]
pub(crate) use self::dates::utc;
pub use self::style::PageStyle;
pub(crate) use self::{
    page::{Button, Details, Field, FieldError, FieldKind, FormFields, Page},
    style::push_escaped,
};

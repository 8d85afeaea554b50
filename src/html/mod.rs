//! Pages of the layer: a small escaping writer, one look, and no script but the one that copies a new token.
//!
//! | file | what it holds |
//! |---|---|
//! | `dates` | dates and relative times |
//! | `details` | the line below the name of an item |
//! | `form_fields` | the fields of a form, and what is wrong with them |
//! | `page` | the writer of a page |
//! | `style` | [`PageStyle`]: name, logo, colour, footer and texts |
//! | `texts` | the texts that can be translated |

mod dates;
mod details;
mod form_fields;
mod page;
mod style;
mod texts;

#[cfg(feature = "hub-server")]
pub(crate) use self::dates::utc;
pub use self::style::PageStyle;
pub(crate) use self::{
    details::Details,
    form_fields::{Field, FieldError, FieldKind},
    page::{Button, Page},
    style::push_escaped,
};

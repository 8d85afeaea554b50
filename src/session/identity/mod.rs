//! Who a user is.
//!
//! | file | what it holds |
//! |---|---|
//! | `fields` | [`Identity`] and its fields |
//! | `anonymous` | users without a name |
//! | `payload` | the JSON of an identity, as Jupyter Server writes it |

mod anonymous;
mod fields;
mod payload;

pub use self::{
    fields::Identity,
    payload::{IdentityError, IdentityErrorKind},
};
pub(crate) use self::{
    fields::Shown,
    payload::{Payload, to_json},
};

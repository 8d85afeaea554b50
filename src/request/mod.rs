//! What is read of a request: its head, its query, where it came from, and paths.
//!
//! | file | what it holds |
//! |---|---|
//! | `head` | [`RequestHead`]: method, URI, header fields, extensions, the time |
//! | `query` | [`Query`]: its parameters, the token in it, and how it is written to a log |
//! | `peer` | [`Peer`] and [`Scheme`]: the other end of the connection, and how it was reached |
//! | `device` | the name of the device that a `User-Agent` field describes |
//! | `base_url` | [`BaseUrl`]: the path below which the service lives |
//! | `header_names` | names of header fields that `http` does not have |
//! | `page_request` | whether the answer is shown as a page |
//! | `percent` | percent-encoding |

pub(crate) mod base_url;
pub(crate) mod device;
pub(crate) mod head;
pub(crate) mod header_names;
pub(crate) mod page_request;
pub(crate) mod peer;
pub(crate) mod percent;
pub(crate) mod query;

pub use self::{
    base_url::BaseUrl,
    head::RequestHead,
    page_request::is_page_request,
    peer::{Peer, Scheme},
    query::{Query, TokenBuffer, redact_query},
};

//! Sessions that a server keeps: one row for each login.
//!
//! | file | holds |
//! |---|---|
//! | `session_store` | [`SessionStore`], what a store of sessions can do |
//! | `session_record` | [`SessionRecord`], what it keeps of one session; [`SessionTouch`], what a request changes in it |
//! | `session_credential` | [`SessionCredential`], what a session came from |
//! | `session_filter` | [`SessionFilter`], which sessions are listed or ended, and [`SessionCondition`], one of its conditions |
//! | `session_listeners` | [`SessionListener`], which is called when sessions end, with [`EndedSessions`] |

mod session_credential;
mod session_filter;
mod session_listeners;
mod session_record;
mod session_store;

pub(in crate::store) use self::session_listeners::SessionListeners;
pub use self::{
    session_credential::SessionCredential,
    session_filter::{SessionCondition, SessionFilter},
    session_listeners::{EndedSessions, SessionListener},
    session_record::{SessionRecord, SessionTouch},
    session_store::SessionStore,
};

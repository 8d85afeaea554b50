//! What comes out of a request, before anybody asks for more than that.

use crate::{
    answer::BoxFuture,
    authenticate::Outcome,
    denial::Reason,
    gate::{
        decision::Afterwards,
        endpoint::FormRequest,
        responses::{OwnResponse, Told},
    },
    session::Session,
};

/// What comes out of a request: its decision, as far as somebody has to know it, and nothing made that is not sent.
pub(crate) enum Verdict {
    /// Let in, as this or as a stranger.
    Admitted(Option<Session>, Afterwards),
    Instead(Instead),
    /// Not told before something else has answered.
    Undecided(BoxFuture<Outcome>),
}

/// What the gate does in place of the inner service.
pub(crate) enum Instead {
    Answered(Box<OwnResponse>),
    /// One of the gate's own paths, whose answer is to come.
    Awaited(BoxFuture<OwnResponse>),
    /// Turned away by the usual answer for this reason.
    Told(Reason),
    WantsForm(Box<FormRequest>),
}

impl From<Instead> for Verdict {
    fn from(instead: Instead) -> Self {
        Self::Instead(instead)
    }
}

impl From<Told> for Verdict {
    fn from(told: Told) -> Self {
        Self::Instead(match told {
            Told::Anew(response) => Instead::Answered(response),
            Told::Usual(reason) => Instead::Told(reason),
        })
    }
}

//! What comes out of a request, before anybody asks for more than that.

use crate::{
    answer::BoxFuture,
    authenticate::Outcome,
    gate::{decision::Afterwards, endpoint::FormRequest, responses::OwnResponse},
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
    WantsForm(Box<FormRequest>),
}

impl From<Instead> for Verdict {
    fn from(instead: Instead) -> Self {
        Self::Instead(instead)
    }
}

impl From<OwnResponse> for Verdict {
    fn from(response: OwnResponse) -> Self {
        Instead::Answered(Box::new(response)).into()
    }
}

//! The verdict over a request that a browser may have sent for another site.

use http::Method;

use super::{
    fetch_metadata::{Site, is_free_read, is_navigation},
    guards::{Guards, XsrfAsked},
    origin::SentOrigin,
    rule::Refusal,
    surroundings::Surroundings,
    xsrf_proof::{Demand, Xsrf},
};
use crate::{
    denial::Denial,
    fields::{self, Several},
    head::Head,
};

/// Which part of the decision table a request is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestKind {
    /// The POST of the login form, which has no session yet. Never read from the head: the gate knows its form.
    LoginForm,
    /// GET, HEAD, OPTIONS.
    Safe,
    /// Every other method, unknown ones included.
    Unsafe,
    /// GET with `Upgrade: websocket`, and every CONNECT: over HTTP/2 a WebSocket is one.
    WebSocket,
}

impl RequestKind {
    /// The kind of a request, by its method and `Upgrade`.
    pub fn of(head: Head<'_>) -> Self {
        match *head.method() {
            Method::GET if is_upgrade(head) => Self::WebSocket,
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Safe,
            Method::CONNECT => Self::WebSocket,
            _ => Self::Unsafe,
        }
    }
}

/// Whether a handshake to WebSocket is asked, in any spelling that a server might take for one.
fn is_upgrade(head: Head<'_>) -> bool {
    head.headers().get_all(&fields::UPGRADE).iter().any(|value| {
        let mut windows = value.as_bytes().windows(b"websocket".len());
        windows.any(|window| window.eq_ignore_ascii_case(b"websocket"))
    })
}

/// Whose page sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Foreign,
    Listed,
    Own,
}

impl Guards {
    /// Nothing if no other site can have caused this request: parts 4 to 7 of the decision table.
    ///
    /// Asked of what a browser sends by itself, that is when
    /// [`Credential::is_ambient`](crate::Credential::is_ambient), and of the login form. `xsrf` is the proof
    /// that the session asks for; `None` where anybody is let in and there is no session to bind one to.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite` (403); [`GuardRule::that_refused`](super::GuardRule::that_refused) tells by which
    /// rule. After [`GuardRule::Xsrf`](super::GuardRule::Xsrf) the answer should carry a fresh `_xsrf`.
    pub fn cross_site(
        &self,
        surroundings: &Surroundings<'_>,
        head: Head<'_>,
        kind: RequestKind,
        xsrf: Option<&dyn Xsrf>,
    ) -> Result<(), Denial> {
        let site = Site::of(head).map_err(|_: Several| Refusal::MalformedOrigin)?;
        let origin = self.origin(surroundings, head, site)?;
        match kind {
            RequestKind::Safe => self.safe(head, origin, site, xsrf),
            RequestKind::Unsafe => self.not_safe(surroundings, head, origin, site, false, xsrf),
            RequestKind::LoginForm => self.not_safe(surroundings, head, origin, site, true, xsrf),
            RequestKind::WebSocket => self.web_socket(head, origin, site, xsrf),
        }
    }

    fn safe(
        &self,
        head: Head<'_>,
        origin: Option<Sender>,
        site: Option<Site>,
        xsrf: Option<&dyn Xsrf>,
    ) -> Result<(), Denial> {
        match site {
            Some(site) if site.is_foreign() && origin != Some(Sender::Listed) && !is_navigation(head) => {
                return Err(Refusal::CrossSite.into());
            }
            None if origin == Some(Sender::Foreign) => return Err(Refusal::ForeignOrigin.into()),
            _ => {}
        }
        match xsrf {
            Some(xsrf) if self.xsrf == XsrfAsked::AlsoOfReads && !is_free_read(head, site) => xsrf.prove(
                head,
                Demand::Session {
                    browserless: false,
                    same_origin: false,
                },
            ),
            _ => Ok(()),
        }
    }

    fn not_safe(
        &self,
        surroundings: &Surroundings<'_>,
        head: Head<'_>,
        origin: Option<Sender>,
        site: Option<Site>,
        login_form: bool,
        xsrf: Option<&dyn Xsrf>,
    ) -> Result<(), Denial> {
        if site.is_some_and(Site::is_foreign) && origin != Some(Sender::Listed) {
            return Err(Refusal::CrossSite.into());
        }
        if origin == Some(Sender::Foreign) {
            return Err(Refusal::ForeignOrigin.into());
        }
        let referer = match origin {
            Some(_) => None,
            None => self.referer(surroundings, head),
        };
        if referer == Some(Sender::Foreign) {
            return Err(Refusal::ForeignReferer.into());
        }
        match xsrf {
            None => Ok(()),
            Some(xsrf) if login_form => xsrf.prove(head, Demand::LoginForm),
            Some(_) if self.xsrf == XsrfAsked::Never => {
                if site == Some(Site::SameOrigin) || origin.is_some() {
                    Ok(())
                } else {
                    Err(Refusal::UnprovenOrigin.into())
                }
            }
            Some(xsrf) => {
                let browserless = site.is_none() && origin.is_none() && referer.is_none();
                // Behind a hub the pages of all users may have one origin.
                let same_origin = site == Some(Site::SameOrigin) && self.xsrf != XsrfAsked::AlsoOfReads;
                xsrf.prove(
                    head,
                    Demand::Session {
                        browserless,
                        same_origin,
                    },
                )
            }
        }
    }

    fn web_socket(
        &self,
        head: Head<'_>,
        origin: Option<Sender>,
        site: Option<Site>,
        xsrf: Option<&dyn Xsrf>,
    ) -> Result<(), Denial> {
        let passes = match (origin, site, xsrf) {
            (Some(Sender::Listed), _, _) => true,
            (Some(Sender::Own), site, _) => !site.is_some_and(Site::is_foreign),
            (None, None, None) => true,
            (None, None, Some(xsrf)) if self.xsrf != XsrfAsked::Never => {
                let browserless = !head.headers().contains_key(&fields::REFERER);
                xsrf.prove(head, Demand::Socket { browserless }).is_ok()
            }
            _ => false,
        };
        if passes {
            Ok(())
        } else {
            Err(Refusal::ForeignSocket.into())
        }
    }

    /// Nothing if a read with a cookie alone was caused by a page of this server, or by the user: for what
    /// users put there themselves, such as `files/`, which must not be embedded elsewhere.
    ///
    /// Passes with `Sec-Fetch-Site: same-origin` or `none`, without that field by an own or listed Referer,
    /// and always with a good `_xsrf`. Stricter than [`Guards::cross_site`], which lets links from other sites
    /// through and is asked before.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite` (403).
    pub fn require_own_page(
        &self,
        surroundings: &Surroundings<'_>,
        head: Head<'_>,
        xsrf: Option<&dyn Xsrf>,
    ) -> Result<(), Denial> {
        let refusal = match Site::of(head) {
            Ok(Some(site)) if !site.is_foreign() => return Ok(()),
            Ok(Some(_)) => Refusal::CrossSite,
            Err(Several) => Refusal::MalformedOrigin,
            Ok(None) => match self.referer(surroundings, head) {
                Some(Sender::Own | Sender::Listed) => return Ok(()),
                Some(Sender::Foreign) => Refusal::ForeignReferer,
                None => Refusal::UnprovenOrigin,
            },
        };
        let browserless = refusal == Refusal::UnprovenOrigin && head.field(&fields::ORIGIN).is_none();
        let demand = Demand::Session {
            browserless,
            same_origin: false,
        };
        match xsrf {
            Some(xsrf) if xsrf.prove(head, demand).is_ok() => Ok(()),
            _ => Err(refusal.into()),
        }
    }

    /// Whether anything shows that another site caused this request: Fetch Metadata, Origin or Referer.
    ///
    /// For what a link may do unless it is another site's, such as `GET logout`; silence shows nothing.
    pub fn shows_another_site(&self, surroundings: &Surroundings<'_>, head: Head<'_>) -> bool {
        let Ok(site) = Site::of(head) else {
            return true;
        };
        site.is_some_and(Site::is_foreign)
            || matches!(
                self.origin(surroundings, head, site),
                Err(_) | Ok(Some(Sender::Foreign))
            )
            || self.referer(surroundings, head) == Some(Sender::Foreign)
    }

    /// Whose page the one Origin names.
    ///
    /// `null` beside `Sec-Fetch-Site: same-origin` names none: a page with `Referrer-Policy: no-referrer` sends both.
    fn origin(
        &self,
        surroundings: &Surroundings<'_>,
        head: Head<'_>,
        site: Option<Site>,
    ) -> Result<Option<Sender>, Refusal> {
        let malformed = Refusal::MalformedOrigin;
        let Some(origin) = head.single(&fields::ORIGIN).map_err(|_: Several| malformed)? else {
            return Ok(None);
        };
        if origin == "null" {
            return Ok((site != Some(Site::SameOrigin)).then_some(Sender::Foreign));
        }
        let origin = SentOrigin::parse(origin.as_bytes()).ok_or(malformed)?;
        Ok(Some(self.sender(surroundings, head, origin)))
    }

    /// Whose page the one Referer names; of several, or one that cannot be read, it is nobody's.
    fn referer(&self, surroundings: &Surroundings<'_>, head: Head<'_>) -> Option<Sender> {
        match head.single(&fields::REFERER) {
            Ok(None) => None,
            Ok(Some(referer)) => Some(match SentOrigin::of_url(referer.as_bytes()) {
                Some(origin) => self.sender(surroundings, head, origin),
                None => Sender::Foreign,
            }),
            Err(Several) => Some(Sender::Foreign),
        }
    }

    fn sender(&self, surroundings: &Surroundings<'_>, head: Head<'_>, sent: SentOrigin<'_>) -> Sender {
        let own = match &self.public_origin {
            Some(public) => public.is(sent),
            None => surroundings
                .authority(head)
                .is_some_and(|host| sent.went_to(host, surroundings.scheme)),
        };
        if own {
            Sender::Own
        } else if self.origins.list(sent) {
            Sender::Listed
        } else {
            Sender::Foreign
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};

    use super::super::{
        Binding, XsrfGuard, XsrfProof,
        table::{
            Argument::{Before, Foreign, Good, Missing},
            CROSS, DOCUMENT, EVIL, EVIL_REFERER, HOST, LISTED, NAVIGATE, NONE, NULL, OWN, REFERER, SAME,
            SESSION, SIBLING, site,
        },
        xsrf::tests::TestKey,
    };
    use super::*;

    #[test]
    fn user_content_is_read_from_own_pages_only() {
        let site = &site();
        for (fields, argument, expected) in [
            (&[HOST, SAME][..], Missing, true),
            (&[HOST, NONE, NAVIGATE, DOCUMENT], Missing, true),
            (&[HOST, REFERER], Missing, true),
            (&[HOST, ("referer", "https://app.example.net/x")], Missing, true),
            (&[HOST, EVIL_REFERER], Missing, false),
            (&[HOST], Missing, false),
            (&[HOST, CROSS, NAVIGATE, DOCUMENT], Missing, false),
            (&[HOST, CROSS, REFERER], Missing, false),
            (&[HOST, SAME, SAME], Missing, false),
            (&[HOST], Good, true),
            (&[HOST, CROSS], Good, true),
            (&[HOST, EVIL_REFERER], Good, true),
            (&[HOST], Foreign, false),
            (&[HOST], Before, true),
            (&[HOST, OWN], Before, false),
            (&[HOST, CROSS], Before, false),
        ] {
            let xsrf = XsrfGuard::new(TestKey(b"ours"));
            let value = match argument {
                Good => xsrf.issue(SESSION),
                Before => xsrf.issue(Binding::Anonymous),
                _ => xsrf.issue(Binding::of_session(b"bob")),
            };
            let mut request = Request::builder().method(Method::GET);
            for (name, field) in fields {
                request = request.header(*name, *field);
            }
            if argument != Missing {
                request = request.header("x-xsrftoken", &value);
            }
            let request = request.body(()).expect("well-formed");
            let head = Head::of(&request);
            let surroundings = site.surroundings(head).expect("its own host");
            let proof = XsrfProof::new(&xsrf, SESSION, Some(value.as_bytes()));
            let found = site.require_own_page(&surroundings, head, Some(&proof));
            assert_eq!(found.is_ok(), expected, "{fields:?} {argument:?}");
        }
    }

    #[test]
    fn silence_shows_no_other_site() {
        let site = &site();
        for (fields, expected) in [
            (&[HOST][..], false),
            (&[HOST, SAME, OWN, REFERER], false),
            (&[HOST, NONE], false),
            (&[HOST, LISTED], false),
            (&[HOST, CROSS], true),
            (&[HOST, SIBLING], true),
            (&[HOST, SAME, SAME], true),
            (&[HOST, EVIL], true),
            (&[HOST, NULL], true),
            (&[HOST, OWN, EVIL], true),
            (&[HOST, NULL, SAME], false),
            (&[HOST, NULL, NONE], true),
            (&[HOST, EVIL_REFERER], true),
            (&[HOST, SAME, EVIL_REFERER], true),
        ] {
            let mut request = Request::builder();
            for (name, field) in fields {
                request = request.header(*name, *field);
            }
            let request = request.body(()).expect("well-formed");
            let head = Head::of(&request);
            let surroundings = site.surroundings(head).expect("its own host");
            assert_eq!(
                site.shows_another_site(&surroundings, head),
                expected,
                "{fields:?}"
            );
        }
    }
}

//! The decision about a request that a browser may have sent for another site.

use http::Method;

use super::{
    csrf_check::{CsrfCheck, CsrfRequirement},
    fetch_metadata::{FetchSite, is_exempt_read, is_navigation},
    origin::SentOrigin,
    policy::{CsrfMode, RequestPolicy},
    target::EffectiveTarget,
    violation::PolicyViolation,
};
use crate::{
    denial::Denial,
    request::{
        head::RequestHead,
        header_names::{self, DuplicateHeader},
    },
};

/// Which part of the decision table applies to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestKind {
    /// The POST of the login form, which has no session yet. Never read from the head: the layer knows its form.
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
    pub fn from_head(head: RequestHead<'_>) -> Self {
        match *head.method() {
            Method::GET if is_upgrade(head) => Self::WebSocket,
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Safe,
            Method::CONNECT => Self::WebSocket,
            _ => Self::Unsafe,
        }
    }
}

/// Whether a WebSocket handshake is requested, in any spelling that a server might accept.
fn is_upgrade(head: RequestHead<'_>) -> bool {
    head.headers()
        .get_all(&header_names::UPGRADE)
        .iter()
        .any(|value| {
            let mut windows = value.as_bytes().windows(b"websocket".len());
            windows.any(|window| window.eq_ignore_ascii_case(b"websocket"))
        })
}

/// Whether a program sent a request: it has a good `X-XSRFToken`, which no page of another site can add.
fn has_xsrf_token(head: RequestHead<'_>, xsrf: &dyn CsrfCheck) -> bool {
    let browserless = !head.headers().contains_key(&header_names::REFERER);
    xsrf.check(head, CsrfRequirement::WebSocket { browserless })
        .is_ok()
}

/// Whose page sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Initiator {
    OtherSite,
    AllowedOrigin,
    SameOrigin,
}

impl RequestPolicy {
    /// Nothing if no other site can have caused this request: parts 4 to 7 of the decision table.
    ///
    /// For credentials that a browser sends by itself, that is when
    /// [`AuthMethod::is_ambient`](crate::AuthMethod::is_ambient), and for the login form. `xsrf` is the check
    /// that the session requires; `None` where no authentication is required, so that there is no session to bind one to.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite` (403); [`PolicyRule::from_denial`](super::PolicyRule::from_denial) returns the
    /// rule. After [`PolicyRule::Csrf`](super::PolicyRule::Csrf) the answer should carry a fresh `_xsrf`.
    pub fn check_cross_site(
        &self,
        target: &EffectiveTarget<'_>,
        head: RequestHead<'_>,
        kind: RequestKind,
        xsrf: Option<&dyn CsrfCheck>,
    ) -> Result<(), Denial> {
        let site = FetchSite::of(head).map_err(|_: DuplicateHeader| PolicyViolation::MalformedOrigin)?;
        let origin = self.origin(target, head, site)?;
        match kind {
            RequestKind::Safe => self.check_safe(head, origin, site, xsrf),
            RequestKind::Unsafe => self.check_unsafe(target, head, origin, site, false, xsrf),
            RequestKind::LoginForm => self.check_unsafe(target, head, origin, site, true, xsrf),
            RequestKind::WebSocket => self.check_websocket(head, origin, site, xsrf),
        }
    }

    fn check_safe(
        &self,
        head: RequestHead<'_>,
        origin: Option<Initiator>,
        site: Option<FetchSite>,
        xsrf: Option<&dyn CsrfCheck>,
    ) -> Result<(), Denial> {
        match site {
            Some(site)
                if site.is_cross_site()
                    && origin != Some(Initiator::AllowedOrigin)
                    && !is_navigation(head) =>
            {
                return Err(PolicyViolation::FetchMetadata.into());
            }
            None if origin == Some(Initiator::OtherSite) => {
                return Err(PolicyViolation::DisallowedOrigin.into());
            }
            _ => {}
        }
        match xsrf {
            Some(xsrf) if self.xsrf == CsrfMode::AllMethods && !is_exempt_read(head, site) => xsrf.check(
                head,
                CsrfRequirement::Session {
                    browserless: false,
                    same_origin: false,
                },
            ),
            _ => Ok(()),
        }
    }

    fn check_unsafe(
        &self,
        target: &EffectiveTarget<'_>,
        head: RequestHead<'_>,
        origin: Option<Initiator>,
        site: Option<FetchSite>,
        login_form: bool,
        xsrf: Option<&dyn CsrfCheck>,
    ) -> Result<(), Denial> {
        if site.is_some_and(FetchSite::is_cross_site) && origin != Some(Initiator::AllowedOrigin) {
            return Err(PolicyViolation::FetchMetadata.into());
        }
        if origin == Some(Initiator::OtherSite) {
            return Err(PolicyViolation::DisallowedOrigin.into());
        }
        let referer = match origin {
            Some(_) => None,
            None => self.referer(target, head),
        };
        if referer == Some(Initiator::OtherSite) {
            return Err(PolicyViolation::DisallowedReferer.into());
        }
        match xsrf {
            None => Ok(()),
            Some(xsrf) if login_form => xsrf.check(head, CsrfRequirement::LoginForm),
            Some(xsrf) if self.xsrf == CsrfMode::OriginOnly => {
                let own = site == Some(FetchSite::SameOrigin) || origin.is_some();
                if own || site.is_none() && has_xsrf_token(head, xsrf) {
                    Ok(())
                } else {
                    Err(PolicyViolation::MissingOrigin.into())
                }
            }
            Some(xsrf) => {
                let browserless = site.is_none() && origin.is_none() && referer.is_none();
                // Behind a hub the pages of all users may have one origin.
                let same_origin = site == Some(FetchSite::SameOrigin) && self.xsrf != CsrfMode::AllMethods;
                xsrf.check(
                    head,
                    CsrfRequirement::Session {
                        browserless,
                        same_origin,
                    },
                )
            }
        }
    }

    fn check_websocket(
        &self,
        head: RequestHead<'_>,
        origin: Option<Initiator>,
        site: Option<FetchSite>,
        xsrf: Option<&dyn CsrfCheck>,
    ) -> Result<(), Denial> {
        let passes = match (origin, site, xsrf) {
            (Some(Initiator::AllowedOrigin), _, _) => true,
            (Some(Initiator::SameOrigin), site, _) => !site.is_some_and(FetchSite::is_cross_site),
            (None, None, None) => true,
            (None, None, Some(xsrf)) => has_xsrf_token(head, xsrf),
            _ => false,
        };
        if passes {
            Ok(())
        } else {
            Err(PolicyViolation::WebSocketOrigin.into())
        }
    }

    /// Nothing if a read with a cookie alone was caused by a page of this server, or by the user: for what
    /// users put there themselves, such as `files/`, which must not be embedded elsewhere.
    ///
    /// Passes with `Sec-Fetch-Site: same-origin` or `none`, without that field by an own or listed Referer,
    /// and always with a valid `_xsrf`. Stricter than [`RequestPolicy::check_cross_site`], which allows links from other
    /// sites and is called before.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite` (403).
    pub fn require_same_origin(
        &self,
        target: &EffectiveTarget<'_>,
        head: RequestHead<'_>,
        xsrf: Option<&dyn CsrfCheck>,
    ) -> Result<(), Denial> {
        let refusal = match FetchSite::of(head) {
            Ok(Some(site)) if !site.is_cross_site() => return Ok(()),
            Ok(Some(_)) => PolicyViolation::FetchMetadata,
            Err(DuplicateHeader) => PolicyViolation::MalformedOrigin,
            Ok(None) => match self.referer(target, head) {
                Some(Initiator::SameOrigin | Initiator::AllowedOrigin) => return Ok(()),
                Some(Initiator::OtherSite) => PolicyViolation::DisallowedReferer,
                None => PolicyViolation::MissingOrigin,
            },
        };
        let browserless =
            refusal == PolicyViolation::MissingOrigin && head.header(&header_names::ORIGIN).is_none();
        let demand = CsrfRequirement::Session {
            browserless,
            same_origin: false,
        };
        match xsrf {
            Some(xsrf) if xsrf.check(head, demand).is_ok() => Ok(()),
            _ => Err(refusal.into()),
        }
    }

    /// Whether anything shows that another site caused this request: Fetch Metadata, Origin or Referer.
    ///
    /// For what a request may do unless it is another site's; silence shows nothing.
    pub fn is_cross_site(&self, target: &EffectiveTarget<'_>, head: RequestHead<'_>) -> bool {
        let Ok(site) = FetchSite::of(head) else {
            return true;
        };
        site.is_some_and(FetchSite::is_cross_site)
            || matches!(
                self.origin(target, head, site),
                Err(_) | Ok(Some(Initiator::OtherSite))
            )
            || self.referer(target, head) == Some(Initiator::OtherSite)
    }

    /// Whose page the one Origin names.
    ///
    /// `null` with `Sec-Fetch-Site: same-origin` names none: a page with `Referrer-Policy: no-referrer` sends both.
    fn origin(
        &self,
        target: &EffectiveTarget<'_>,
        head: RequestHead<'_>,
        site: Option<FetchSite>,
    ) -> Result<Option<Initiator>, PolicyViolation> {
        let malformed = PolicyViolation::MalformedOrigin;
        let Some(origin) = head
            .single_header(&header_names::ORIGIN)
            .map_err(|_: DuplicateHeader| malformed)?
        else {
            return Ok(None);
        };
        if origin == "null" {
            return Ok((site != Some(FetchSite::SameOrigin)).then_some(Initiator::OtherSite));
        }
        let origin = SentOrigin::parse(origin.as_bytes()).ok_or(malformed)?;
        Ok(Some(self.sender(target, head, origin)))
    }

    /// Whose page the one Referer names; of several, or one that cannot be read, it is a foreign one.
    fn referer(&self, target: &EffectiveTarget<'_>, head: RequestHead<'_>) -> Option<Initiator> {
        match head.single_header(&header_names::REFERER) {
            Ok(None) => None,
            Ok(Some(referer)) => Some(match SentOrigin::from_referer(referer.as_bytes()) {
                Some(origin) => self.sender(target, head, origin),
                None => Initiator::OtherSite,
            }),
            Err(DuplicateHeader) => Some(Initiator::OtherSite),
        }
    }

    fn sender(&self, target: &EffectiveTarget<'_>, head: RequestHead<'_>, sent: SentOrigin<'_>) -> Initiator {
        let own = match &self.public_origin {
            Some(public) => public.matches(sent),
            None => target
                .authority(head)
                .is_some_and(|host| sent.matches_target(host, target.scheme)),
        };
        if own {
            Initiator::SameOrigin
        } else if self.origins.contains(sent) {
            Initiator::AllowedOrigin
        } else {
            Initiator::OtherSite
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};

    use super::super::{
        CsrfBinding, CsrfTokens, RequestCsrf,
        csrf::tests::TestKey,
        decision_table_tests::{
            Argument::{Before, Foreign, Good, Missing},
            CROSS, DOCUMENT, EVIL, EVIL_REFERER, HOST, LISTED, NAVIGATE, NONE, NULL, OWN, REFERER, SAME,
            SESSION, SIBLING, site,
        },
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
            let xsrf = CsrfTokens::new(TestKey(b"own"));
            let value = match argument {
                Good => xsrf.issue(SESSION),
                Before => xsrf.issue(CsrfBinding::Anonymous),
                _ => xsrf.issue(CsrfBinding::of_session(b"bob")),
            };
            let mut request = Request::builder().method(Method::GET);
            for (name, field) in fields {
                request = request.header(*name, *field);
            }
            if argument != Missing {
                request = request.header("x-xsrftoken", &value);
            }
            let request = request.body(()).expect("well-formed");
            let head = RequestHead::new(&request);
            let target = site.check_target(head).expect("its own host");
            let proof = RequestCsrf::new(&xsrf, SESSION, Some(value.as_bytes()));
            let found = site.require_same_origin(&target, head, Some(&proof));
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
            let head = RequestHead::new(&request);
            let target = site.check_target(head).expect("its own host");
            assert_eq!(site.is_cross_site(&target, head), expected, "{fields:?}");
        }
    }
}

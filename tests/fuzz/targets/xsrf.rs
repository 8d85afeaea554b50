//! `_xsrf` values: only the value that was issued, and only for the session it was issued for.

use http::Request;
use portcullis::{
    RequestHead,
    request_policy::{CsrfBinding, CsrfCheck, CsrfRequirement, CsrfTokens, RequestCsrf},
};

use super::{KEYRING, cut, edited};

/// The name of a session, and changes to a value issued for it, or a value.
pub fn run(data: &[u8]) {
    let (name, changes) = cut(data, b'\n');
    let guard = CsrfTokens::new(&*KEYRING);
    let binding = CsrfBinding::of_session(name);
    let issued = guard.issue(binding);
    let before = guard.issue(CsrfBinding::Anonymous);
    assert!(issued.bytes().all(|byte| byte.is_ascii_alphanumeric()) && issued.starts_with('x'));
    let longer = [name, b"x"].concat();
    for others in [
        CsrfBinding::Anonymous,
        CsrfBinding::of_session(&longer),
        CsrfBinding::of_session(b"another"),
    ] {
        assert!(others == binding || !guard.verify(issued.as_bytes(), others));
    }
    for value in [
        edited(issued.as_bytes(), changes),
        edited(before.as_bytes(), changes),
        changes.to_vec(),
    ] {
        assert_eq!(guard.verify(&value, binding), value == issued.as_bytes());
        assert_eq!(
            guard.verify(&value, CsrfBinding::Anonymous),
            value == before.as_bytes()
        );
        if value == issued.as_bytes() {
            assert!(guard.probably_matches(&value, binding));
        }
        let Ok(request) = Request::post("/")
            .header("x-xsrftoken", value.as_slice())
            .body(())
        else {
            continue;
        };
        let proof = RequestCsrf::new(&guard, binding, Some(value.as_slice()));
        for (demand, expected) in [
            (session(false, false), value == issued.as_bytes()),
            (
                session(true, false),
                value == issued.as_bytes() || value == before.as_bytes(),
            ),
            (
                session(false, true),
                value == issued.as_bytes() || value == before.as_bytes(),
            ),
            (
                CsrfRequirement::WebSocket { browserless: false },
                value == issued.as_bytes(),
            ),
            (CsrfRequirement::LoginForm, value == before.as_bytes()),
        ] {
            assert_eq!(
                proof.check(RequestHead::new(&request), demand).is_ok(),
                expected,
                "{demand:?}"
            );
        }
    }
    // The same bytes as a query, and as what a form held.
    let form = std::str::from_utf8(changes).ok();
    if let Ok(request) = Request::post([b"/?".as_slice(), changes].concat().as_slice()).body(()) {
        let proof = RequestCsrf::new(&guard, binding, Some(changes)).with_form(form);
        for demand in [
            CsrfRequirement::LoginForm,
            session(true, false),
            session(false, true),
            CsrfRequirement::WebSocket { browserless: true },
        ] {
            assert!(proof.check(RequestHead::new(&request), demand).is_err());
        }
    }
}

fn session(browserless: bool, same_origin: bool) -> CsrfRequirement {
    CsrfRequirement::Session {
        browserless,
        same_origin,
    }
}

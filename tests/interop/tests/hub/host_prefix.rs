//! Cookies that no other host can set, `JupyterHub.cookie_host_prefix_enabled`, of a hub that speaks TLS.

use portcullis_interop::{
    jupyterhub::{Front, JupyterHub},
    tls::Authority,
};

use crate::{hub_at, log_in_by_browser, progress, within_the_age};

fn hub(authority: &Authority) -> JupyterHub {
    let front = Front {
        tls: Some(authority),
        ..Front::default()
    };
    hub_at(front, "c.JupyterHub.cookie_host_prefix_enabled = True\n")
}

#[test]
fn cookies_with_the_prefix_of_a_host_log_in_and_out() {
    let authority = Authority::new();
    let hub = hub(&authority);
    hub.spawn("alice", "");
    hub.spawn("alice", "lab");

    for (home, name) in [
        ("/user/alice/", "__Host-jupyterhub-user-alice"),
        ("/user/alice/lab/", "__Host-jupyterhub-user-alice-lab"),
    ] {
        progress(&format!("the way in to {home}"));
        let mut alice = hub.visitor();
        let page = format!("{home}files/hello.txt");
        let begun = alice.open(&page);
        let location = begun.fields("location")[0].to_owned();
        let kept: Vec<_> = alice.cookies().iter().collect();
        let [state] = kept[..] else {
            panic!("expected a state cookie, found {kept:?}");
        };
        assert_eq!(
            (state.name.as_str(), state.path.as_str()),
            (format!("{name}-oauth-state").as_str(), "/")
        );
        for part in ["HttpOnly", "Secure", "Max-Age=600", "SameSite=Lax"] {
            assert!(state.attributes.contains(part), "{part}: {}", state.attributes);
        }
        hub.log_in(&mut alice, "alice");
        let (targets, answer) = alice.follow(&location);
        assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
        assert_eq!(targets.last(), Some(&page));

        progress("what the browser keeps");
        let mut kept: Vec<_> = alice
            .cookies()
            .iter()
            .map(|cookie| (cookie.name.as_str(), cookie.path.as_str()))
            .collect();
        kept.sort_unstable();
        assert_eq!(
            kept,
            [
                ("__Host-jupyterhub-hub-login", "/"),
                (name, "/"),
                ("_xsrf", "/hub/"),
                ("_xsrf", home),
                ("jupyterhub-session-id", "/"),
            ]
        );
        let token = alice.cookie(name, home).expect("a token cookie").clone();
        for part in ["HttpOnly", "Secure", "Max-Age=1209600", "SameSite=Lax"] {
            assert!(token.attributes.contains(part), "{part}: {}", token.attributes);
        }
        let xsrf = alice.cookie("_xsrf", home).expect("an _xsrf");
        assert!(xsrf.attributes.contains("Secure"), "{}", xsrf.attributes);

        progress("a cookie without the prefix is not accepted");
        let contents = format!("{home}api/contents");
        let bare = name.trim_start_matches("__Host-");
        for (name, status) in [(name, 200), (bare, 403)] {
            let fields = [("Cookie", format!("{name}={}", token.value))];
            let fields = fields.each_ref().map(|(field, value)| (*field, value.as_str()));
            let answer = hub.visitor().send("GET", &contents, &fields, "");
            assert_eq!(answer.status, status, "{name}: {}", answer.head);
        }

        progress("the way out");
        let out = alice.open(&format!("{home}logout"));
        assert_eq!(
            (out.status, out.fields("location")),
            (302, vec!["/hub/logout"]),
            "{}",
            out.head
        );
        assert!(alice.cookie(name, home).is_none());
        let session = alice.cookie("jupyterhub-session-id", "/").expect("a session");
        let copied = format!("{name}={}; {}={}", token.value, session.name, session.value);
        alice.follow("/hub/logout");
        within_the_age(403, || {
            hub.visitor().send("GET", &contents, &[("Cookie", &copied)], "")
        });
    }
}

#[test]
fn a_real_browser_keeps_cookies_with_the_prefix_of_a_host() {
    let authority = Authority::new();
    let hub = hub(&authority);
    log_in_by_browser(&format!("{}/", hub.origin), "alice", "hub-prefix-", "__Host-");
}

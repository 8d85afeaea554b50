//! A server behind a real nginx and a real Caddy that remove a prefix, configured as the manual has it.

use std::{net::SocketAddr, thread};

use axum::{Router, extract::ConnectInfo, routing::get};
use portcullis::{AuthLayer, Session, Token, request::Peer};
use portcullis_interop::{
    cookie_client::CookieClient,
    http::request,
    reverse_proxy::{ReverseProxy, manual_block},
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_person_logs_in_and_out_behind_an_nginx_that_removes_the_prefix() {
    judge(ReverseProxy::nginx, "nginx removes");
}

#[test]
fn a_person_logs_in_and_out_behind_a_caddy_that_removes_the_prefix() {
    judge(ReverseProxy::caddy, "Caddy removes");
}

fn judge(proxy: fn(&str) -> ReverseProxy, heading: &str) {
    let block = manual_block("mounting", "A proxy that removes a prefix", heading);
    let proxy = proxy(&block.replace("127.0.0.1:8888", &server()));
    let address = &*proxy.address;

    // By the form.
    let mut person = CookieClient::new(address);
    let (targets, form) = person.follow("/app/page?x=1");
    assert_eq!(
        targets,
        ["/app/page?x=1", "/app/login?next=%2Fapp%2Fpage%3Fx%3D1"]
    );
    assert_eq!(form.status, 200, "{}", form.head);
    let xsrf = person.cookie("_xsrf", "/app/").expect("a cookie").value.clone();
    let answer = person.send(
        "POST",
        &targets[1],
        &[
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", &format!("http://{address}")),
            ("Accept", "text/html"),
        ],
        &format!("_xsrf={xsrf}&password={TOKEN}"),
    );
    assert_eq!(answer.status, 302, "{} {}", answer.head, answer.body);
    assert_eq!(answer.fields("location"), ["/app/page?x=1"]);
    assert!(person.cookies().iter().all(|cookie| cookie.path == "/app/"));
    let page = person.open("/app/page?x=1");
    assert!(page.body.contains("/page?x=1 by Cookie"), "{}", page.body);

    // The logout ends it.
    assert_eq!(person.open("/app/logout").status, 200);
    assert_eq!(person.open("/app/page").status, 302);

    // By a link with the token: the address bar is cleaned.
    let (targets, page) = person.follow(&format!("/app/page?token={TOKEN}"));
    assert_eq!(targets[1..], ["/app/page"]);
    assert!(page.body.contains("/page by Cookie"), "{}", page.body);

    // The prefix without its slash, and a program.
    let (targets, page) = person.follow("/app");
    assert_eq!((&*targets[1], page.status), ("/app/", 200));
    assert_eq!(request(address, "GET", "/app/page", &[]).status, 401);
    let token = format!("Bearer {TOKEN}");
    let page = request(address, "GET", "/app/page", &[("Authorization", &token)]);
    assert!(page.body.contains("/page by Token"), "{}", page.body);
}

/// Says which target it got and how the request was authenticated.
fn server() -> String {
    let (sender, address) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let auth = AuthLayer::builder()
            .token(TOKEN.parse::<Token>().expect("a token"))
            .stripped_prefix("/app")
            .peer_extractor(|extensions| Some(Peer::Ip(extensions.get::<ConnectInfo<SocketAddr>>()?.0)))
            .build()
            .expect("a layer");
        let page = async |session: Session, uri: http::Uri| format!("{uri} by {:?}", session.auth_method());
        let app = Router::new()
            .route("/", get(page))
            .route("/page", get(page))
            .layer(auth);
        let serving = async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("a port");
            sender
                .send(listener.local_addr().expect("an address"))
                .expect("the test");
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, app).await.expect("a server");
        };
        tokio::runtime::Runtime::new()
            .expect("a runtime")
            .block_on(serving);
    });
    address.recv().expect("an address").to_string()
}

//! A notebook server with a browser front end.

use axum::{
    Router,
    extract::ws::{WebSocket, WebSocketUpgrade},
    routing::{any, get},
};
use portcullis::{AuthLayer, Session, Token};
use tokio::net::TcpListener;

use super::{
    Outside,
    raw_client::{ask, socket},
};

async fn status(session: Session) -> String {
    format!("started for {:?}", session.auth_method())
}

async fn events(upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(|_: WebSocket| async {})
}

#[tokio::test]
async fn it_prints_a_link_that_opens_it_and_programs_send_its_token() -> Outside {
    // user:
    let token = Token::generate();
    let auth = AuthLayer::token(token.clone());
    let app = Router::new()
        .route("/", get(async || "the notebooks"))
        .route("/api/status", get(status))
        .route("/api/events", any(events))
        .layer(auth.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let link = auth.launch_link(&format!("http://{address}/"))?;
    println!("token: {}\nopen {}", token.expose(), link.expose_url());
    tokio::spawn(async { axum::serve(listener, app).await });
    // asserted:
    let by_token = format!("GET /api/status\nauthorization: token {}", token.expose());
    assert_eq!(ask(address, &by_token, "").await.text, "started for Token");
    assert_eq!(ask(address, "GET /api/status", "").await.status, 401);

    let (_, place) = link
        .expose_url()
        .split_once(&format!("{address}"))
        .expect("a link to it");
    let opened = ask(address, &format!("GET {place}\naccept: text/html"), "").await;
    assert_eq!((opened.status.as_u16(), opened.header("location")), (303, "/"));
    let again = ask(address, &format!("GET {place}\naccept: text/html"), "").await;
    assert!(again.set_cookies().is_empty(), "{again:?}");
    let cookie = opened.cookie("username-");
    let page = |cookie: &str| format!("GET /\naccept: text/html\ncookie: {cookie}");
    assert_eq!(ask(address, &page(&cookie), "").await.text, "the notebooks");

    let origin = format!("http://{address}");
    for (cookie, origin, status) in [
        (&*cookie, &*origin, 101),
        (&*cookie, "http://evil.example", 403),
        ("", &*origin, 401),
    ] {
        let fields = [("cookie", cookie), ("origin", origin)];
        assert_eq!(socket(address, "/api/events", &fields).await, status, "{origin}");
    }

    let form = ask(address, "GET /login?\naccept: text/html", "").await;
    let xsrf = form.cookie("_xsrf=");
    let submit = "POST /login\ncontent-type: application/x-www-form-urlencoded\ncookie: ";
    let body = format!("{xsrf}&password={}", token.expose());
    let typed = ask(address, &format!("{submit}{xsrf}"), &body).await;
    assert_eq!((typed.status.as_u16(), typed.header("location")), (302, "/"));
    let cookie = typed.cookie("username-");
    assert_eq!(ask(address, &page(&cookie), "").await.status, 200);

    let left = ask(address, &format!("GET /logout\ncookie: {cookie}"), "").await;
    let removed = left
        .set_cookies()
        .into_iter()
        .find(|line| line.starts_with("username-"));
    assert!(removed.is_some_and(|line| line.contains("Max-Age=0")), "{left:?}");
    Ok(())
}

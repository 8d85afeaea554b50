//! An app server with its own handling of connections, which a launch link opens: the layer serves the built-in paths.

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use portcullis::{
    AuthLayer, RequestHead, Session, Token,
    middleware::{Decision, FormSubmission},
};

use super::Outside;
use crate::common::request;

fn app(session: Option<&Session>) -> Response<Full<Bytes>> {
    Response::new(Full::from(session.map_or("anonymous", |_| "authenticated")))
}

// user:
async fn answer(auth: &AuthLayer, request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
    match auth.decide(RequestHead::new(&request)).await {
        Decision::Respond(own) => *own,
        Decision::NeedsForm(form) => form.read_and_respond(request.into_body()).await,
        Decision::Allow { session, afterwards } => {
            let mut response = app(session.as_ref());
            afterwards.apply_to_response(&mut response);
            response
        }
        _ => unreachable!("there are no others"),
    }
}
// asserted:

#[tokio::test]
async fn it_is_opened_by_a_launch_link() -> Outside {
    // user:
    let auth = AuthLayer::token(Token::generate());
    let link = auth.launch_link("http://localhost/")?;
    // asserted:
    let (_, place) = link.expose_url().split_once("localhost").expect("a link to it");
    let opened = answer(&auth, request(&format!("GET {place}\naccept: text/html"))).await;
    assert_eq!(opened.status(), 303, "{opened:?}");
    let line = opened.headers()["set-cookie"].to_str()?;
    let cookie = line.split(';').next().expect("a pair");
    let page = answer(&auth, request(&format!("GET /\ncookie: {cookie}"))).await;
    assert_eq!(page.into_body().collect().await?.to_bytes(), "authenticated");
    assert_eq!(answer(&auth, request("GET /")).await.status(), 401);
    let form = request("POST /login\ncontent-type: application/x-www-form-urlencoded");
    assert_eq!(
        answer(&auth, form.map(|_| Full::from("password=x")))
            .await
            .status(),
        403
    );
    let long = request("POST /login\ncontent-type: application/x-www-form-urlencoded");
    let long = long.map(|_| Full::from("x".repeat(FormSubmission::MAX_LEN + 1)));
    assert_eq!(answer(&auth, long).await.status(), 413);
    Ok(())
}

//! Layers of a hub's server, with cached answers of the hub.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header, header::HeaderName};
use http_body_util::Full;
use portcullis::{AuthLayer, HubAuth, RequestHead, Secret, middleware::Decision};
use tower::service_fn;

use super::{super::case::Sent, TOKEN, get};

const SESSION: &str = "jupyterhub-session-id=0123456789abcdef0123456789abcdef";

/// A hub that knows every token and gives one for every code.
async fn hub(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = if request.uri().path().ends_with("/token") {
        format!("{{\"access_token\":\"{TOKEN}\"}}")
    } else {
        "{\"kind\":\"user\",\"name\":\"alice\",\"scopes\":[\"access:servers!user=alice\"]}".to_owned()
    };
    Ok(Response::new(Full::from(answer)))
}

fn hub_layer() -> AuthLayer {
    let hub = HubAuth::builder(Secret::from(TOKEN))
        .api_url("http://127.0.0.1:8081/hub/api")
        .base_url("/".parse().expect("a base"))
        .client_id("jupyterhub-user-alice")
        .access_scopes(["access:servers!user=alice"])
        .cache_ttl(Duration::from_secs(3600))
        .http_client(service_fn(hub))
        .build()
        .expect("settings");
    AuthLayer::builder()
        .hub(hub)
        .without_session_extension()
        .build()
        .expect("a layer")
}

/// The decision of `layer` about `request`, with a request to the hub if it needs one.
fn decided(layer: &AuthLayer, request: &Request<()>) -> Decision {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    runtime.block_on(layer.decide(RequestHead::new(request)).into_future())
}

/// A token of the hub's in the header field.
pub(crate) fn token(_: bool) -> (AuthLayer, Sent) {
    let (layer, sent) = (hub_layer(), get().bearer(TOKEN));
    decided(&layer, &sent.build().map(|_| ()));
    (layer, sent)
}

/// The cookie of a login at the hub.
pub(crate) fn cookie(_: bool) -> (AuthLayer, Sent) {
    let layer = hub_layer();
    let ask = |target: &str, cookies: &str| {
        let request = Request::get(target)
            .header("host", "localhost:8888")
            .header("accept", "text/html")
            .header("cookie", cookies);
        match decided(&layer, &request.body(()).expect("a request")) {
            Decision::Respond(answer) => {
                let cookies = answer.headers().get_all(header::SET_COOKIE).iter();
                let pairs = cookies.map(|line| {
                    line.to_str()
                        .expect("ASCII")
                        .split(';')
                        .next()
                        .unwrap_or_default()
                        .to_owned()
                });
                let location = answer.headers()[header::LOCATION]
                    .to_str()
                    .expect("ASCII")
                    .to_owned();
                (location, pairs.collect::<Vec<_>>())
            }
            other => panic!("expected an answer, found {other:?}"),
        }
    };
    let (location, begun) = ask("/", SESSION);
    let (_, state) = location.split_once("&state=").expect("a state");
    let callback = format!("/oauth_callback?code=c&state={state}");
    let (_, login) = ask(&callback, &format!("{SESSION}; {}", begun[0]));
    let mode = HeaderName::from_static("sec-fetch-mode");
    let site = HeaderName::from_static("sec-fetch-site");
    let (_, xsrf) = login[1].split_once('=').expect("a value");
    let sent = get()
        .field(header::COOKIE, format!("{}; {SESSION}; {}", login[1], login[0]))
        .field(mode, "cors")
        .field(site, "same-origin")
        .field(HeaderName::from_static("x-xsrftoken"), xsrf);
    decided(&layer, &sent.build().map(|_| ()));
    (layer, sent)
}

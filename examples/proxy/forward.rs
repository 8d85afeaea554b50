//! What goes through: each request to the server that its path leads to.

use std::{
    convert::Infallible,
    future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HOST},
};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty, Full};
use portcullis::{
    RequestHead, TrustedProxies,
    request::{Peer, is_page_request},
};

use super::{
    common::{
        exit::Failure,
        forward::{Body, ClientInfo, Forward, OnMessage, Target},
        page,
    },
    route_table::{Route, Table},
};

/// Sends requests on by the table.
#[derive(Clone)]
pub(crate) struct Traffic {
    pub(crate) table: Table,
    pub(crate) forward: Forward,
    /// Who has pages for what goes wrong, at `<target>/404?url=…`.
    pub(crate) error_target: Option<Arc<Target>>,
    /// Whether the host is the first segment of a route's path.
    pub(crate) host_routing: bool,
    pub(crate) https: bool,
    pub(crate) trusted: Arc<TrustedProxies>,
}

impl Traffic {
    /// The response to a request, from the server or from this proxy.
    pub(crate) async fn answer<B>(self, mut request: Request<B>) -> Result<Response<Body>, Infallible>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
    {
        if request.uri().path() == "/_chp_healthz" {
            return Ok(healthy());
        }
        let uri = request.uri().clone();
        let is_page = is_page_request(RequestHead::new(&request));
        let Some(route) = self.table.find(&self.path(&request)) else {
            return Ok(self.error(StatusCode::NOT_FOUND, &uri, is_page).await);
        };
        let Some(target) = route.target() else {
            return Ok(self.error(StatusCode::SERVICE_UNAVAILABLE, &uri, is_page).await);
        };
        let heard = Arc::clone(&route);
        request
            .extensions_mut()
            .insert(OnMessage(Arc::new(move || heard.touch())));
        let client_info = self.client_info(&request);
        match self
            .forward
            .send(request, target, client_info, future::pending())
            .await
        {
            Ok(answer) => {
                // A request for a missing page, or one without permission, does not count as activity.
                if answer.status().as_u16() >= 300 {
                    return Ok(answer);
                }
                route.touch();
                Ok(answer.map(|body| Watched { body, route }.boxed_unsync()))
            }
            Err(error) => {
                tracing::error!("{target}: {error}");
                let status = match error.status() {
                    StatusCode::BAD_GATEWAY => StatusCode::SERVICE_UNAVAILABLE,
                    status => status,
                };
                Ok(self.error(status, &uri, is_page).await)
            }
        }
    }

    /// The path that selects the route.
    fn path<B>(&self, request: &Request<B>) -> String {
        let uri = request.uri();
        if !self.host_routing {
            return uri.path().to_owned();
        }
        let host = uri.host().or_else(|| request.headers().get(HOST)?.to_str().ok());
        let host = host.unwrap_or_default();
        format!("/{}{}", host.split(':').next().unwrap_or_default(), uri.path())
    }

    fn client_info<B>(&self, request: &Request<B>) -> ClientInfo {
        let peer = request.extensions().get::<Peer>().copied();
        ClientInfo {
            by: peer.and_then(|peer| peer.ip()),
            https: self.https,
            trusted: peer.is_some_and(|peer| self.trusted.contains(peer)),
        }
    }

    /// The page for what went wrong: the error target's, or our own.
    async fn error(&self, status: StatusCode, uri: &Uri, is_page: bool) -> Response<Body> {
        if let Some(page) = self.error_page(status, uri).await {
            return page;
        }
        let message = match status {
            StatusCode::NOT_FOUND => "There is no server at this address.",
            StatusCode::SERVICE_UNAVAILABLE => "The server at this address does not answer.",
            _ => "The request cannot be forwarded.",
        };
        let page = page::error(is_page, status, message, "/");
        page.map(|body| body.map_err(Into::into).boxed_unsync())
    }

    /// The page of the error target, if there is one and it answers.
    async fn error_page(&self, status: StatusCode, uri: &Uri) -> Option<Response<Body>> {
        let target = self.error_target.as_ref()?;
        let place = uri.path_and_query().map_or("/", |place| place.as_str());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("url", place)
            .finish();
        let request = Request::get(format!("/{}?{query}", status.as_u16())).body(Empty::new());
        let client_info = ClientInfo {
            by: None,
            https: self.https,
            trusted: false,
        };
        let answer = self
            .forward
            .send(request.ok()?, target, client_info, future::pending())
            .await;
        let answer = answer.inspect_err(|error| tracing::error!("--error-target {target}: {error}"));
        let (parts, body) = answer.ok()?.into_parts();
        let mut page = Response::new(body);
        *page.status_mut() = status;
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            if let Some(value) = parts.headers.get(&name) {
                page.headers_mut().insert(name, value.clone());
            }
        }
        Some(page)
    }
}

fn healthy() -> Response<Body> {
    let body = Full::from(r#"{"status":"OK"}"#).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// A body whose every frame is a sign of life of its route.
struct Watched {
    body: Body,
    route: Arc<Route>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(_))) = &frame {
            self.route.touch();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

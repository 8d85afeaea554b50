//! A case: a service, a request, the answer it should give, and what that may cost.

mod request;

use std::{
    convert::Infallible,
    fmt::Debug,
    future::{Ready, ready},
    hint::black_box,
    mem,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use tower_layer::Layer;
use tower_service::Service;

pub(crate) use self::request::Sent;

/// The body of every request.
pub(crate) type RequestBody = Empty<Bytes>;

/// Requests made for every run, sent or not.
pub(crate) const PREPARED: usize = 24;
/// Requests sent before the window opens: what is set up at the first one is set up by then.
const WARM_UP: usize = 4;

/// Sends the requests. It is passed to the code that counts.
pub(crate) type Send<'a> = &'a mut dyn FnMut();
type Work = Box<dyn Fn(StatusCode, usize, &mut dyn FnMut(Send<'_>))>;

/// One row of a table, or what rows are compared with.
pub(crate) struct Case {
    name: String,
    base: Option<String>,
    status: StatusCode,
    budget: Option<u64>,
    allocations: Option<u64>,
    blocks: u64,
    listed: bool,
    work: Option<Work>,
}

impl Case {
    fn new(name: &str, work: Option<Work>) -> Self {
        Self {
            name: name.to_owned(),
            base: None,
            status: StatusCode::OK,
            budget: None,
            allocations: None,
            blocks: 0,
            listed: true,
            work,
        }
    }

    /// What it is called: `what/case/who`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The case it is compared with.
    pub(crate) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Whether that is the inner service alone, sent the same request.
    pub(crate) fn is_over_bare(&self) -> bool {
        self.base.as_ref().is_some_and(|base| *base == bare(&self.name))
    }

    /// The instructions it may cost above its base.
    pub(crate) fn budget(&self) -> Option<u64> {
        self.budget
    }

    /// How often a request allocates, exactly.
    pub(crate) fn allocations(&self) -> Option<u64> {
        self.allocations
    }

    /// The blocks of SHA-256 among its work.
    pub(crate) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Whether it has a row of its own; else it is only what others are compared with.
    pub(crate) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Whether there is something to run.
    pub(crate) fn is_built(&self) -> bool {
        self.work.is_some()
    }

    /// Makes the service and the requests, then calls `window` with what sends `rounds` of them.
    ///
    /// # Panics
    ///
    /// If an answer has another status than it should, or there is nothing to run.
    pub(crate) fn run(&self, rounds: usize, window: &mut dyn FnMut(Send<'_>)) {
        let work = self.work.as_ref().expect("only a case with a service is run");
        work(self.status, rounds, window);
    }
}

/// One or more rows with the same settings, and their bases.
pub(crate) struct Rows(Vec<Case>);

impl Rows {
    /// The same rows, answering `status`. Default: 200.
    pub(crate) fn answering(self, status: StatusCode) -> Self {
        self.each(|case| case.status = status)
    }

    /// The same rows, compared with the case named `base`. Default: the inner service alone, sent the same
    /// request; nothing for a service without an inner one.
    pub(crate) fn over(mut self, base: &str) -> Self {
        self.0.retain(Case::is_listed);
        self.each(|case| case.base = Some(base.to_owned()))
    }

    /// The same rows, each with its budget of instructions above its base. Default: none.
    pub(crate) fn within<const N: usize>(self, budgets: [u64; N]) -> Self {
        let mut budgets = budgets.into_iter();
        self.each(|case| case.budget = budgets.next())
    }

    /// Sets how often each request of the rows allocates, exactly. Default: not checked.
    pub(crate) fn allocating(self, allocations: u64) -> Self {
        self.each(|case| case.allocations = Some(allocations))
    }

    /// Sets how many blocks of SHA-256 each request of the rows hashes: a counter that sees no SHA-NI allows for
    /// them. Default: none.
    pub(crate) fn hashing(self, blocks: u64) -> Self {
        self.each(|case| case.blocks = blocks)
    }

    fn each(mut self, change: impl FnMut(&mut Case)) -> Self {
        self.0.iter_mut().filter(|case| case.listed).for_each(change);
        self
    }
}

impl IntoIterator for Rows {
    type Item = Case;
    type IntoIter = std::vec::IntoIter<Case>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A row for a layer around the inner service.
pub(crate) fn layer<L>(name: &str, make: impl Fn() -> (L, Sent) + Copy + 'static) -> Rows
where
    L: Layer<Inner, Service: Answers>,
{
    let bare = bare(name);
    let inner = Case {
        listed: false,
        ..Case::new(&bare, Some(work(move || (Inner, make().1))))
    };
    let layered = work(move || {
        let (layer, sent) = make();
        (layer.layer(Inner), sent)
    });
    let layered = Case {
        base: Some(bare),
        ..Case::new(name, Some(layered))
    };
    Rows(vec![inner, layered])
}

/// Two rows for one path through a layer: without its guards and with them, as the argument of `make` states.
pub(crate) fn pair<L>(name: &str, make: impl Fn(bool) -> (L, Sent) + Copy + 'static) -> Rows
where
    L: Layer<Inner, Service: Answers>,
{
    let unguarded = layer(name, move || make(false));
    let guarded = layer(&guarded(name), move || make(true));
    Rows(unguarded.into_iter().chain(guarded).collect())
}

/// A row for a service without an inner service.
pub(crate) fn service<S: Answers>(name: &str, make: impl Fn() -> (S, Sent) + 'static) -> Rows {
    Rows(vec![Case::new(name, Some(work(make)))])
}

/// A row with nothing to run yet.
pub(crate) fn wanted(name: &str) -> Rows {
    Rows(vec![Case::new(name, None)])
}

/// Two rows with nothing to run yet: without guards and with them.
pub(crate) fn wanted_pair(name: &str) -> Rows {
    Rows(vec![Case::new(name, None), Case::new(&guarded(name), None)])
}

fn bare(name: &str) -> String {
    format!("{name} (bare)")
}

fn guarded(name: &str) -> String {
    format!("{name}+guards")
}

/// As many requests are made whatever `rounds` is, so that two lengths differ in nothing but what is sent; those
/// left over are not dropped, or their drop would be counted against the shorter one.
fn work<S: Answers>(make: impl Fn() -> (S, Sent) + 'static) -> Work {
    Box::new(move |status, rounds, window| {
        let (mut service, sent) = make();
        let mut send = |request| assert_eq!(service.status(black_box(request)), status);
        let mut requests: Vec<_> = (0..WARM_UP + PREPARED).map(|_| sent.build()).collect();
        requests.drain(..WARM_UP).for_each(&mut send);
        let mut requests = requests.into_iter();
        window(&mut || requests.by_ref().take(rounds).for_each(&mut send));
        mem::forget(requests);
    })
}

/// A service that can be sent a request of this bench.
pub(crate) trait Answers {
    /// The status it answers with; the rest of its answer is dropped.
    fn status(&mut self, request: Request<RequestBody>) -> StatusCode;
}

impl<S, B> Answers for S
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Debug>,
{
    fn status(&mut self, request: Request<RequestBody>) -> StatusCode {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(())) = self.poll_ready(&mut context) else {
            panic!("expected a service that is always ready");
        };
        let mut answer = pin!(self.call(request));
        loop {
            if let Poll::Ready(answer) = answer.as_mut().poll(&mut context) {
                break black_box(answer.expect("a case gives an answer")).status();
            }
        }
    }
}

/// The inner service: drops the request and answers 200 with nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inner;

impl Service<Request<RequestBody>> for Inner {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    // A real inner service is not inlined into the layer either.
    #[inline(never)]
    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        drop(request);
        ready(Ok(Response::new(Empty::new())))
    }
}

//! The URI that the browser requested, where a router or a proxy in front of the layer has removed a prefix from it.

use http::{Extensions, Request, Uri, uri::PathAndQuery};

use crate::{error::ConfigError, request::head::RequestHead};

/// Where the original URI of a request is found, and what is missing from it.
#[derive(Clone, Default)]
pub(crate) struct OriginalUri {
    pub(crate) extractor: Option<UriExtractor>,
    stripped_prefix: Option<Box<str>>,
}

/// Finds the URI of a request before a router changed it.
pub(crate) type UriExtractor = fn(&Extensions) -> Option<&Uri>;

/// The URI with the prefix that a proxy has removed.
#[derive(Clone)]
struct WithPrefix(Uri);

impl OriginalUri {
    /// Adds the prefix that a proxy removes from every path.
    ///
    /// # Errors
    ///
    /// If it is not a path such as `/app`.
    pub(crate) fn with_stripped_prefix(self, prefix: &str) -> Result<Self, ConfigError> {
        let is_path = prefix.len() > 1
            && prefix.starts_with('/')
            && !prefix.ends_with('/')
            && !prefix.contains("//")
            && prefix
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#\\\"%".contains(&byte));
        if !is_path {
            let message =
                format!("expected a path such as /app, without a slash at its end, found {prefix:?}");
            return Err(ConfigError::new("stripped_prefix", message));
        }
        Ok(Self {
            stripped_prefix: Some(prefix.into()),
            ..self
        })
    }

    /// Leaves the URI with the removed prefix in the extensions of the request, where [`of`](Self::of) finds it.
    pub(crate) fn restore<B>(&self, request: &mut Request<B>) {
        let Some(prefix) = &self.stripped_prefix else {
            return;
        };
        // Never what was restored before: the same layer, with another rule for its routes, may stand further out.
        let original = self.extractor.and_then(|extract| extract(request.extensions()));
        let uri = original.unwrap_or(request.uri());
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let mut parts = uri.clone().into_parts();
        // A target such as `*` has no prefix.
        if path.starts_with('/')
            && let Ok(path) = format!("{prefix}{path}").try_into()
        {
            parts.path_and_query = Some(path);
            if let Ok(uri) = Uri::from_parts(parts) {
                request.extensions_mut().insert(WithPrefix(uri));
            }
        }
    }

    /// A path of the browser's as the service sees it.
    pub(crate) fn without_prefix<'a>(&self, path: &'a str) -> &'a str {
        let prefix = self.stripped_prefix.as_deref().unwrap_or_default();
        path.strip_prefix(prefix).unwrap_or(path)
    }

    /// The same request head with the URI that the browser requested.
    #[inline]
    pub(crate) fn of<'a>(&self, head: RequestHead<'a>) -> RequestHead<'a> {
        match self.find(head.extensions()) {
            Some(uri) => head.with_uri(uri),
            None => head,
        }
    }

    /// The URI that the browser requested, if it differs from that of the request.
    fn find<'a>(&self, extensions: &'a Extensions) -> Option<&'a Uri> {
        let restored = self
            .stripped_prefix
            .as_ref()
            .and_then(|_| extensions.get::<WithPrefix>());
        match restored {
            Some(WithPrefix(uri)) => Some(uri),
            None => self.extractor.and_then(|extract| extract(extensions)),
        }
    }
}

//! Which path leads to which server, and when it was last used.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::common::{exit::Failure, forward::Target};

/// As JavaScript writes a time, which is what a hub reads.
const ISO: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Every route there is. Cloning makes another handle to the same table.
#[derive(Clone, Default)]
pub(crate) struct Table(Arc<RwLock<HashMap<Box<str>, Arc<Route>>>>);

/// Where the requests of one path, and of those below it, go.
pub(crate) struct Route {
    /// What was posted, `target` included.
    data: Map<String, Value>,
    target: Option<Target>,
    /// In milliseconds since 1970.
    last_activity: AtomicI64,
}

impl Table {
    /// The route that `path` itself has.
    pub(crate) fn get(&self, path: &str) -> Option<Arc<Route>> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.get(&*key(path)).map(Arc::clone)
    }

    /// The route of the longest path that `path` is or lies below, segment by segment.
    pub(crate) fn find(&self, path: &str) -> Option<Arc<Route>> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let whole = key(path);
        let mut prefix = &*whole;
        loop {
            if let Some(route) = table.get(if prefix.is_empty() { "/" } else { prefix }) {
                return Some(Arc::clone(route));
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
    }

    /// Adds the route of `path`, or replaces the one it has.
    pub(crate) fn put(&self, path: &str, route: Route) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(key(path), Arc::new(route));
    }

    /// Removes the route of `path`; whether there was one.
    pub(crate) fn remove(&self, path: &str) -> bool {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.remove(&*key(path)).is_some()
    }

    /// Every route by its path, or those that were not used since a time.
    pub(crate) fn to_json(&self, inactive_since: Option<OffsetDateTime>) -> Value {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let routes = table
            .iter()
            .filter(|(_, route)| inactive_since.is_none_or(|since| route.last_activity() < since));
        routes
            .map(|(path, route)| (path.to_string(), route.to_json()))
            .collect()
    }
}

impl Route {
    /// A route from what was posted. A target that is no URL we can send on to makes one that leads nowhere.
    ///
    /// # Errors
    ///
    /// If `target` is no string.
    pub(crate) fn new(data: Map<String, Value>) -> Result<Self, Failure> {
        let Some(target) = data.get("target").and_then(Value::as_str) else {
            return Err("Must specify 'target' as string".into());
        };
        let target = target
            .parse()
            .inspect_err(|error| tracing::warn!("the target of a route: {error}"))
            .ok();
        let route = Self {
            data,
            target,
            last_activity: AtomicI64::default(),
        };
        route.touch();
        Ok(route)
    }

    /// Where requests are sent on to.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// Records a use, now.
    pub(crate) fn touch(&self) {
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        self.last_activity
            .store(i64::try_from(now).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    fn last_activity(&self) -> OffsetDateTime {
        let milliseconds = i128::from(self.last_activity.load(Ordering::Relaxed));
        OffsetDateTime::from_unix_timestamp_nanos(milliseconds * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut data = self.data.clone();
        let last_activity = self.last_activity().format(ISO).unwrap_or_default();
        data.insert("last_activity".into(), last_activity.into());
        Value::Object(data)
    }
}

/// A path as the table writes it: without escapes, with a slash at its beginning and none at its end. An escaped
/// slash is one between segments; escapes that are no text stand for themselves.
fn key(path: &str) -> Box<str> {
    let decoded = percent_decode_str(path).decode_utf8().unwrap_or(path.into());
    format!("/{}", decoded.trim_matches('/')).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[&str]) -> Table {
        let table = Table::default();
        for path in routes {
            let data = Map::from_iter([("target".to_owned(), format!("http://up{path}").into())]);
            table.put(path, Route::new(data).expect("a target"));
        }
        table
    }

    #[test]
    fn the_longest_path_wins_and_ends_between_segments() {
        let table = table(&["/", "/user/alice", "/user/zoë x", "/user/alice/named/"]);
        for (path, expected) in [
            ("/", "http://up/"),
            ("/hub/login", "http://up/"),
            ("/user/alice", "http://up/user/alice"),
            ("/user/alice/", "http://up/user/alice"),
            ("/user/alice/lab/tree", "http://up/user/alice"),
            ("/user/alice2/", "http://up/"),
            ("/user/%61lice/x", "http://up/user/alice"),
            ("/user/alice/named/x", "http://up/user/alice/named/"),
            ("/user/zo%C3%AB%20x/", "http://up/user/zoë x"),
            ("//user//alice", "http://up/"),
            ("/user/alice/../bob", "http://up/user/alice"),
            ("/%", "http://up/"),
        ] {
            let route = table.find(path).expect("a route");
            assert_eq!(route.to_json()["target"], expected, "{path}");
        }
    }

    #[test]
    fn nothing_is_found_where_there_is_no_route() {
        let table = table(&["/user/alice"]);
        for path in ["", "/", "/user", "/user/alic", "/user/alicex", "*"] {
            assert!(table.find(path).is_none(), "{path}");
        }
        assert!(table.remove("/user/alice/") && !table.remove("/user/alice"));
        assert!(table.find("/user/alice").is_none());
    }

    #[test]
    fn a_time_is_written_as_a_hub_reads_it() {
        let route =
            Route::new(Map::from_iter([("target".to_owned(), "http://up".into())])).expect("a target");
        route.last_activity.store(1_700_000_000_007, Ordering::Relaxed);
        assert_eq!(route.to_json()["last_activity"], "2023-11-14T22:13:20.007Z");
    }
}

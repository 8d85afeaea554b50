//! Sessions in Redis or Valkey, which several processes share.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the connection, the methods and their errors |
//! | `sessions.lua` | the steps that the server runs, and the names of its keys |
//! | `fields` | what Redis keeps of a session |
//!
//! Settings of the server that matter:
//!
//! - `maxmemory-policy noeviction`: with another policy a server that is full removes entries of the indexes, and then "log out
//!   everywhere" misses a session. [`RedisSessionStore::connect`] refuses such a server.
//! - Either `appendonly yes` with `appendfsync always`, or no persistence at all (`save ""`, `appendonly no`): then a restart
//!   logs everyone out. With snapshots, the default, a crash brings back the sessions that ended after the last snapshot.
//! - One server, which may have replicas: the scripts compute the names of their keys, which a cluster does not allow.
//! - A password and TLS (`rediss://`, feature `tokio-rustls-comp` of `redis`) where the server is on another machine.

mod fields;

use std::{sync::LazyLock, time::Duration};

use portcullis::{
    MaybeFuture,
    clock::UnixTime,
    store::{
        BoxFuture, SessionCondition, SessionFilter, SessionRecord, SessionStore, SessionTouch, StoreError,
        StoreErrorKind,
    },
    token::TokenHash,
};
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, IntoConnectionInfo as _,
    ProtocolVersion, RedisError, Script, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};
use serde_json::{Value, json};

use self::fields::{Fields, credential_text, fields, record, seconds};

/// How long a method waits for the server.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long after its expiry a session is still found, if no insertion removes it before.
const MARGIN: Duration = Duration::from_secs(24 * 3600);

/// The longest time to live that is given to a key: ten years.
const MAX_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("sessions.lua")));

/// Keeps sessions in Redis, version 6 or newer, or Valkey. Clones share one connection, which comes back after a failure.
#[derive(Clone, Debug)]
pub(crate) struct RedisSessionStore(ConnectionManager);

impl RedisSessionStore {
    /// Connects to the server at `url`, such as `redis://127.0.0.1/0` or `redis+unix:///run/redis/redis.sock`.
    ///
    /// # Errors
    ///
    /// `Config` if the URL is none, the server refuses the password, or it evicts keys; `Unavailable` if it does not answer.
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreError> {
        let server = url.into_connection_info().map_err(store_error)?;
        // With RESP3 a connection that is lost is replaced at once, not at the next command.
        let protocol = server
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        let tcp = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(DEADLINE);
        let server = server.set_redis_settings(protocol).set_tcp_settings(tcp);
        let client = Client::open(server).map_err(store_error)?;

        let settings = AsyncConnectionConfig::new()
            .set_response_timeout(Some(DEADLINE))
            .set_connection_timeout(None);
        let mut first = answer(client.get_multiplexed_async_connection_with_config(&settings)).await?;
        let memory: String = answer(redis::cmd("INFO").arg("memory").query_async(&mut first)).await?;
        if !memory.contains("maxmemory_policy:noeviction") {
            let message = "the server may evict sessions: set its `maxmemory-policy` to `noeviction`";
            return Err(StoreError::new(StoreErrorKind::Config, message));
        }
        // While the server is away, a command waits for the next connection until its deadline.
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE))
            .set_number_of_retries(usize::MAX)
            .set_max_delay(Duration::from_millis(250));
        let connection = ConnectionManager::new_lazy_with_config(client, settings).map_err(store_error)?;
        Ok(Self(connection))
    }

    /// Runs one step of `sessions.lua`.
    fn step<T: FromRedisValue + Send + 'static>(
        &self,
        name: &'static str,
        call: Value,
    ) -> BoxFuture<Result<T, StoreError>> {
        let mut connection = self.0.clone();
        Box::pin(async move {
            let mut step = SCRIPT.arg(name);
            answer(step.arg(call.to_string()).invoke_async(&mut connection)).await
        })
    }
}

impl SessionStore for RedisSessionStore {
    fn insert_session(
        &self,
        hash: TokenHash,
        session: SessionRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        let inserted = self.step(
            "insert",
            json!({
                "hash": hash.to_string(),
                "session": fields(&session),
                "ttl": ttl(session.created(), session.expires_at()),
                "replaced": Vec::from_iter(replaced),
            }),
        );
        Box::pin(async move {
            match inserted.await? {
                true => Ok(()),
                false => Err(StoreError::new(
                    StoreErrorKind::Duplicate,
                    "the session is there already",
                )),
            }
        })
    }

    fn find_session(&self, hash: TokenHash) -> MaybeFuture<Result<Option<SessionRecord>, StoreError>> {
        let mut connection = self.0.clone();
        MaybeFuture::from_future(async move {
            let found: Fields = answer(connection.hgetall(format!("portcullis:session:{hash}"))).await?;
            (!found.is_empty()).then(|| record(&found)).transpose()
        })
    }

    fn touch_session(&self, hash: TokenHash, touch: SessionTouch) -> BoxFuture<Result<bool, StoreError>> {
        let checked = touch.checked().map(|(checked_at, grant)| {
            let owner = grant.identity().username();
            json!({ "checked_at": seconds(checked_at), "grant": json!(grant).to_string(), "owner": owner })
        });
        self.step(
            "touch",
            json!({
                "hash": hash.to_string(),
                "last_used": seconds(touch.last_used()),
                "expires_at": seconds(touch.expires_at()),
                "ttl": ttl(touch.last_used(), touch.expires_at()),
                "checked": Vec::from_iter(checked),
            }),
        )
    }

    fn list_sessions(
        &self,
        which: SessionFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<SessionRecord>, StoreError>> {
        let selected = self.step::<Vec<Fields>>("list", selection(&which));
        Box::pin(async move {
            let sessions = selected
                .await?
                .iter()
                .map(record)
                .collect::<Result<Vec<_>, _>>()?;
            let mut sessions: Vec<_> = sessions
                .into_iter()
                .filter(|session| !session.has_expired(now))
                .collect();
            sessions.sort_by_key(|session| (session.created(), session.id()));
            Ok(sessions)
        })
    }

    fn end_sessions(&self, which: SessionFilter) -> BoxFuture<Result<u64, StoreError>> {
        self.step("finish", selection(&which))
    }

    fn remove_expired_sessions(&self, now: UnixTime, limit: usize) -> BoxFuture<Result<u64, StoreError>> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.step("remove_expired", json!({ "now": seconds(now), "limit": limit }))
    }
}

fn selection(which: &SessionFilter) -> Value {
    let (mut wanted, mut unwanted) = (Fields::new(), None);
    for condition in which.conditions() {
        let (field, value) = match condition {
            SessionCondition::Id(id) => ("id", id.to_string()),
            SessionCondition::Owner(owner) => ("owner", owner.to_owned()),
            SessionCondition::Credential(credential) => ("credential", credential_text(credential)),
            SessionCondition::Session(session_id) => ("session_id", session_id.to_owned()),
            SessionCondition::NotSession(session_id) => {
                unwanted = Some(session_id);
                continue;
            }
        };
        wanted.insert(field.to_owned(), value);
    }
    json!({ "wanted": wanted, "unwanted": unwanted })
}

/// How many seconds a session that expires at `end` stays in Redis from `now` on.
fn ttl(now: UnixTime, end: UnixTime) -> u64 {
    let left = end.saturating_duration_since(now).min(MAX_TTL);
    (left + MARGIN).as_secs()
}

/// Waits for the answer, no longer than the deadline. A change that was not answered in time may have happened.
async fn answer<T>(command: impl Future<Output = Result<T, RedisError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(DEADLINE, command).await {
        Ok(answer) => answer.map_err(store_error),
        Err(_) => {
            let message = format!("Redis did not answer within {DEADLINE:?}");
            Err(StoreError::new(StoreErrorKind::Unavailable, message))
        }
    }
}

fn store_error(error: RedisError) -> StoreError {
    let kind = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig, _)
        | (ErrorKind::RESP3NotSupported | ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
            StoreErrorKind::Config
        }
        (ErrorKind::Server(ServerErrorKind::BusyLoading), _) | (_, Some("BUSY")) => StoreErrorKind::Busy,
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => StoreErrorKind::Corrupt,
        (_, Some("NOAUTH" | "WRONGPASS")) => StoreErrorKind::Config,
        (_, Some("MISCONF" | "OOM")) => StoreErrorKind::Full,
        (_, Some("WRONGTYPE")) => StoreErrorKind::Schema,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, format!("Redis: {error}")).with_source(error)
}

//! A whole server without its sockets: the real routes over the real engine on a journal in memory.
//!
//! Targets that need a lot or a route share one. It is made anew after so many requests, so that what they
//! create does not add up over hours.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use lotkeeper_actors::{Clock, Engine, LotHandle, Metrics, Options};
use lotkeeper_gateway::app::App;
use lotkeeper_gateway::auth::{Auth, Grant, Role};
use lotkeeper_gateway::config::Config;
use lotkeeper_gateway::credential::QrKeys;
use lotkeeper_gateway::server::{Front, routes};
use lotkeeper_storage::{MemoryJournal, MemoryStore};
use tokio::runtime::Runtime;

/// Signs the tokens of all targets.
pub const KEY: &str = "a key that is known to the fuzz targets";
/// Every role, in the order in which a request names them by a digit.
pub const ROLES: [Role; 6] =
    [Role::Operator, Role::Device, Role::Driver, Role::Staff, Role::Display, Role::Admin];
/// Requests after which the world is made anew.
const REQUESTS_MAX: u32 = 20_000;

static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// What is shared.
pub struct World {
    runtime: Runtime,
    engine: Engine,
    front: Front,
    tokens: Vec<String>,
    requests: u32,
}

/// An answer, read to its end.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its content type.
    pub content_type: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// Works in the world; a target that panicked leaves it to be made anew.
pub fn with<T>(work: impl FnOnce(&mut World) -> T) -> T {
    let mut world = WORLD.lock().unwrap_or_else(|poisoned| {
        let mut world = poisoned.into_inner();
        *world = None;
        world
    });
    if world.as_ref().is_some_and(|world| world.requests >= REQUESTS_MAX)
        && let Some(old) = world.take()
    {
        old.runtime.block_on(old.engine.shutdown(Duration::from_secs(10)));
    }
    work(world.get_or_insert_with(World::new))
}

impl World {
    fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("the runtime starts");
        let (journal, recovery) = MemoryJournal::open(MemoryStore::default());
        let clock = Clock::system(recovery.last_at);
        let options = Options { free_space_floor_bytes: 0, ..Options::default() };
        let metrics = Metrics::unregistered();
        let starting = Engine::start(Box::new(journal), recovery, clock, options, metrics);
        let engine = runtime.block_on(starting).expect("the engine starts");
        let auth = Auth::new(&[KEY.to_owned()]).expect("the key is long enough");
        let qr = QrKeys::new(&[KEY.to_owned()]).expect("the key is long enough");
        let mut config = Config::default();
        config.rate.anonymous_per_hour = 0;
        config.rate.driver_per_hour = 0;
        let metrics = lotkeeper_gateway::metrics::Metrics::new(prometheus::Registry::new());
        let metrics = metrics.expect("every metric is there once");
        let tokens = ROLES.iter().map(|role| token(&auth, *role)).collect();
        let app = App::new(engine.clone(), (auth, qr), Arc::new(config), metrics);
        let front = Front::new(routes(), app);
        let mut world = Self { runtime, engine, front, tokens, requests: 0 };
        world.furnish();
        world
    }

    /// One lot of each kind, and something promised in it.
    fn furnish(&mut self) {
        for (path, body) in [
            (
                "/api/v1/lots",
                r#"{"code":"L1","name":"One","kind":"bayed","zones":[{"code":"z"}],"slots":[{"code":"A-1","zone":"z"},{"code":"A-2","features":["ev"]},{"code":"A-3"}],"position":{"lat":52.5,"lon":13.4},"city":"Berlin"}"#,
            ),
            ("/api/v1/lots", r#"{"code":"P1","name":"Two","kind":"counted","capacity":50}"#),
        ] {
            let mut request = Request::new(Body::from(body));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = path.parse().expect("a path");
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert("content-type", json);
            let made = self.answer(Some(0), request);
            assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
        }
    }

    /// The bayed lot.
    pub fn lot(&self) -> LotHandle {
        self.engine.lot("default", "L1").expect("it was created")
    }

    /// Answers a request of a role, or of nobody.
    pub fn answer(&mut self, role: Option<usize>, mut request: Request) -> Answer {
        self.requests += 1;
        if let Some(token) = role.and_then(|role| self.tokens.get(role)) {
            let bearer =
                HeaderValue::try_from(format!("Bearer {token}")).expect("a token is ASCII");
            request.headers_mut().insert("authorization", bearer);
        }
        self.runtime.block_on(async {
            let answer = self.front.answer(request, None).await;
            let (parts, body) = answer.into_parts();
            let content_type = parts.headers.get("content-type").map(HeaderValue::as_bytes);
            let content_type =
                String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned();
            let body = body.collect().await.expect("a body in memory").to_bytes().to_vec();
            Answer { status: parts.status, content_type, body }
        })
    }
}

fn token(auth: &Auth, role: Role) -> String {
    let grant = Grant {
        subject: role.name().to_owned(),
        tenant: "default".to_owned(),
        role,
        lots: None,
        // A run of days is still one run.
        ttl_seconds: 365 * 86_400,
    };
    auth.mint(&grant).expect("the key signs")
}

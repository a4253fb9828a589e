//! What every handler shares.
//!
//! Invariant: nothing in here is replaced while the server runs; parts that change do so inside.
//! Deliberately absent: domain state; that is the engine's, reached through its handles.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use lotkeeper_actors::Engine;
use parking_lot::Mutex;

use crate::anpr::Deduper;
use crate::auth::Auth;
use crate::config::Config;
use crate::credential::QrKeys;
use crate::metrics::Metrics;
use crate::provider::Till;
use crate::rate::RateLimits;
use crate::shutdown::Shutdown;

/// Shared state; a copy is the same app.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What is in it.
pub struct Parts {
    /// The running engine.
    pub engine: Engine,
    /// Checks and mints tokens.
    pub auth: Auth,
    /// Signs and checks QR codes.
    pub qr: QrKeys,
    /// What plate cameras saw last, so that one car is one visit.
    pub deduper: Mutex<Deduper>,
    /// Payment providers, and what they were asked.
    pub till: Till,
    /// As it was read at start.
    pub config: Arc<Config>,
    /// The gateway's own figures; `metrics.registry()` has everybody's.
    pub metrics: Metrics,
    /// How often who may ask.
    pub rate: RateLimits,
    /// When this process began to serve.
    pub started_at: Instant,
    /// What is running.
    pub build: Build,
    /// Tells when to stop, and knows who is still busy.
    pub shutdown: Shutdown,
}

/// What is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// Release.
    pub version: &'static str,
    /// Changes whenever a page does: tells a reloaded page from an old one.
    pub assets: &'static str,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        engine: Engine,
        (auth, qr): (Auth, QrKeys),
        config: Arc<Config>,
        metrics: Metrics,
    ) -> Self {
        let rate = RateLimits::new(config.rate);
        let till = Till::new(&config.payments, metrics.clone());
        let cameras = config.cameras;
        let deduper = Mutex::new(Deduper::new(cameras.visit, cameras.remembered_max));
        let build =
            Build { version: env!("CARGO_PKG_VERSION"), assets: crate::assets::build_hash() };
        let (started_at, shutdown) = (Instant::now(), Shutdown::new());
        Self(Arc::new(Parts {
            engine,
            auth,
            qr,
            deduper,
            till,
            config,
            metrics,
            rate,
            started_at,
            build,
            shutdown,
        }))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

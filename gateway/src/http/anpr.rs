//! Plate cameras: their posts become scans at the gate they look at.
//!
//! What is understood is answered with 200, whatever the lot says: makers take an address away that keeps failing.
//! A sighting that is posted again has no second effect; readings of one car in front of one camera are one visit,
//! and a surer reading of it corrects the stay by an event of its own.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_actors::{LotHandle, Origin};
use lotkeeper_engine::ids::{Pseudonym, SessionId};
use lotkeeper_engine::limits::SCAN_LATE_SECONDS_MAX;
use lotkeeper_engine::lot::{Command, Credential, Needs, Scan, Scanner, StayChange};
use lotkeeper_engine::time::{Seconds, Timestamp};
use lotkeeper_storage::PersonKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::{self, invalid, unreadable};
use super::body::{AnyBody, PathOf, QueryOf};
use super::reservations::send;
use super::{fingerprint, people, scans};
use crate::anpr::{self, AnprError, Sighting, Verdict};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::plate::{Likeness, Stated};
use crate::wire::names::{Direction, Size};
use crate::wire::stay::ScanAnswer;
use crate::wire::vehicle::Vehicle;
use crate::wire::{code_fault, is_code};

/// Where a camera looks.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CameraQuery {
    /// Code or id of the lot.
    #[param(example = "L1")]
    lot: String,
    /// Code of the gate; the camera's own name when left out.
    gate: Option<String>,
    /// Which way it looks.
    #[param(example = "entry")]
    direction: Direction,
}

/// What became of one sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// A scan, judged by the lot.
    Scanned,
    /// The same post once more.
    Repeated,
    /// The same car, still there.
    SameVisit,
    /// The same car, read better: its stay has the new plate.
    Corrected,
    /// The camera is too unsure.
    ConfidenceTooLow,
    /// The lot could not judge it; the code says why.
    Refused,
}

/// One sighting and what became of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SightingResult)]
pub struct SightingBody {
    /// The camera.
    pub camera: String,
    /// What became of it.
    pub became: Became,
    /// What the gate is to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanAnswer>,
    /// Why the lot could not judge it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

/// What became of a post.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CameraPost)]
pub struct PostBody {
    /// Its sightings.
    pub sightings: Vec<SightingBody>,
    /// Vehicles without a plate, and readings that cannot be one.
    pub passed_over: usize,
}

/// Take a post of a plate camera
///
/// `plate-recognizer` (Plate Recognizer Stream and Snapshot) or `rekor` (Rekor Scout, OpenALPR), as their webhooks
/// send it: docs/credentials.md. Roles staff and device.
#[utoipa::path(
    post, path = "/api/v1/cameras/{maker}", tag = "sessions", operation_id = "cameraPost",
    params(("maker" = String, Path, description = "`plate-recognizer` or `rekor`.", example = "rekor"), CameraQuery),
    request_body(description = "As the maker documents it: JSON, or a form with a `json` field.", content((Object = "application/json", example = json!({"data_type": "heartbeat", "agent_uid": "QK3T0VQ7C2ZN8D4X"})), (String = "multipart/form-data"), (String = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "What became of it.", body = PostBody),
        (status = 404, description = "`not_found`, `lot_not_found`"),
        (status = 422, description = "`validation_failed`"),
    ),
)]
pub async fn post(
    State(app): State<App>,
    principal: Principal,
    PathOf(maker): PathOf<String>,
    QueryOf(query): QueryOf<CameraQuery>,
    body: AnyBody,
) -> Result<Response, Problem> {
    principal.require(Access::Device)?;
    let read = match maker.as_str() {
        "plate-recognizer" => anpr::plate_recognizer(&body.content_type, &body.bytes),
        "rekor" => anpr::rekor(&body.content_type, &body.bytes),
        _ => {
            let shown = answer::shorten(&maker);
            let detail = format!("no maker `{shown}`; there are `plate-recognizer` and `rekor`");
            return Err(Problem::not_found(detail));
        }
    };
    let lot = answer::lot(&app, &principal, &query.lot)?;
    if let Some(gate) = query.gate.as_deref().filter(|gate| !is_code(gate)) {
        return Err(invalid(vec![code_fault("/gate", gate)]));
    }
    let message = read.map_err(|error| refused(&error))?;
    let camera =
        Camera { app: &app, principal: &principal, lot: &lot, query: &query, maker: &maker };
    let mut sightings = Vec::with_capacity(message.sightings.len());
    for sighting in &message.sightings {
        sightings.push(camera.took(sighting).await?);
    }
    answer::ok(&PostBody { sightings, passed_over: message.passed_over })
}

fn refused(error: &AnprError) -> Problem {
    match error {
        AnprError::ContentType => Problem::unsupported_media_type(error.to_string()),
        AnprError::Syntax { .. } => Problem::malformed_json(error.to_string()),
        AnprError::Form { .. }
        | AnprError::TooLarge { .. }
        | AnprError::Shape { .. }
        | AnprError::TooMany { .. } => Problem::malformed_request(error.to_string()),
    }
}

/// A camera and where it looks.
struct Camera<'a> {
    app: &'a App,
    principal: &'a Principal,
    lot: &'a LotHandle,
    query: &'a CameraQuery,
    maker: &'a str,
}

impl Camera<'_> {
    async fn took(&self, sighting: &Sighting) -> Result<SightingBody, Problem> {
        let body = |became| SightingBody {
            camera: sighting.camera.clone(),
            became,
            scan: None,
            code: None,
        };
        if sighting.confidence.percent() < self.app.config.cameras.confidence_percent_min {
            return Ok(body(Became::ConfidenceTooLow));
        }
        let now = self.app.engine.now();
        let lane = format!("{}/{}/{}", self.principal.tenant, self.query.lot, sighting.camera);
        let at = sighting.observed_at.unwrap_or(now);
        let verdict = self.app.deduper.lock().judge(&lane, sighting, at);
        match verdict {
            Verdict::Repeat => Ok(body(Became::Repeated)),
            Verdict::SameVisit { before, likeness, surer } => {
                let is_better = surer && likeness != Likeness::Same;
                let corrected = is_better && self.correct(&before, sighting).await?;
                Ok(body(if corrected { Became::Corrected } else { Became::SameVisit }))
            }
            Verdict::New => match self.scan(sighting, now).await {
                Ok(scan) => Ok(SightingBody { scan: Some(scan), ..body(Became::Scanned) }),
                // A camera cannot mend it, and would be cut off by its maker for our trouble.
                Err(problem) if problem.status.is_client_error() => {
                    Ok(SightingBody { code: Some(problem.code), ..body(Became::Refused) })
                }
                Err(problem) => Err(problem),
            },
        }
    }

    fn stated(&self, sighting: &Sighting) -> Stated {
        sighting.country.map_or(Stated::Unknown, Stated::Guessed)
    }

    fn gate(&self, sighting: &Sighting) -> Option<Box<str>> {
        let named = self.query.gate.as_deref();
        named.or_else(|| Some(&*sighting.camera).filter(|name| is_code(name))).map(Box::from)
    }

    async fn scan(&self, sighting: &Sighting, now: Timestamp) -> Result<ScanAnswer, Problem> {
        let Self { app, principal, lot, .. } = *self;
        let view = lot.view();
        let plate = &sighting.plate;
        let vehicle = people::read(app, principal, &view, plate, self.stated(sighting))?;
        let near = people::near(app, &view, vehicle, plate)?;
        // A camera's clock is nobody's business but its own: one that is far off counts as none.
        let skew = view.spec().rules.skew;
        let earliest = now.minus(Seconds(SCAN_LATE_SECONDS_MAX));
        let is_likely = |at: &Timestamp| (earliest..=now.plus(skew)).contains(at);
        let scan = Scan {
            id: SessionId(Uuid::now_v7()),
            gate: self.gate(sighting),
            direction: self.query.direction.into(),
            credential: Credential::Plate { vehicle, near },
            seen: None,
            observed_at: sighting.observed_at.filter(is_likely),
            confidence_percent: Some(sighting.confidence.percent()),
            needs: Needs { size: Size::Standard.into(), ..Needs::default() },
            vehicle_type: None,
            by: Scanner::Device,
            is_elsewhere: false,
            tenant_pass: None,
            dry_run: false,
        };
        let command = Command::Scan(Box::new(scan));
        let done = send(app, lot, command, self.origin(sighting)?).await?;
        scans::scanned(app, &done)
    }

    /// The stay of a plate that was read worse a moment ago gets the better one.
    async fn correct(&self, before: &str, sighting: &Sighting) -> Result<bool, Problem> {
        let Self { app, principal, lot, .. } = *self;
        let view = lot.view();
        let stated = self.stated(sighting);
        let misread = people::read(app, principal, &view, before, stated)?;
        let gate = self.gate(sighting);
        let stay = view.lot.stays().of_vehicle(misread);
        let Some(stay) = stay.filter(|stay| stay.entry_gate == gate) else { return Ok(false) };
        let vehicle: Pseudonym = match sighting.country {
            Some(_) => people::read(app, principal, &view, &sighting.plate, stated)?,
            None => {
                let country = people::home(&view).map(|home| home.to_string());
                let clear = Vehicle { plate: sighting.plate.clone(), country }.canonical();
                let clear = clear.map_err(invalid)?;
                people::pseudonym(app, principal, PersonKind::Vehicle, &clear)?
            }
        };
        let change = StayChange::Identify { vehicle };
        let command = Command::ChangeStay { id: stay.id, change, expected_version: None };
        let unkeyed = Origin { claim: None, ..self.origin(sighting)? };
        Ok(send(app, lot, command, unkeyed).await.is_ok())
    }

    /// The maker's own identity of a sighting makes its second post harmless, over restarts as well.
    fn origin(&self, sighting: &Sighting) -> Result<Origin, Problem> {
        let Self { app, principal, lot, maker, .. } = *self;
        let by = principal.by(&*app.engine.vault());
        let by = Some(by.map_err(|error| unreadable("vault", &error))?);
        let Some(id) = &sighting.id else { return Ok(Origin { by, claim: None }) };
        let key = format!("camera:{maker}:{}:{id}", lot.code());
        let means = fingerprint::of("POST", &key, sighting.plate.as_bytes());
        let claim = app.engine.claim(&principal.tenant, &principal.subject, &key, means);
        let claim = Some(claim.map_err(|error| unreadable("vault", &error))?);
        Ok(Origin { by, claim })
    }
}

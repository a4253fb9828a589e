//! A slot as it is shown, and the changes a request may make to it.

use lotkeeper_actors::LotView;
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{Owner, Promise, Service, SlotPatch};
use lotkeeper_engine::spec::{Fault, SlotSpec, Spec, TypeSet};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::instant::Instant;
use super::names::{Sensor, ServiceState, Size, Source, Status};
use super::{code_fault, fault, is_code};

/// How far ahead a slot shows its next promise.
const PROMISE_SHOWN_SECONDS: u32 = 86_400;
/// Characters of the reason of a closure.
const REASON_CHARS_MAX: usize = 100;

/// Whether a slot can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Service, example = json!({"state": "out_of_service", "reason": "cleaning", "until": "2026-03-01T12:00:00Z"}))]
pub struct ServiceBody {
    /// Whether it can.
    pub state: ServiceState,
    /// Why not, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It returns by itself at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
}

impl From<&Service> for ServiceBody {
    fn from(service: &Service) -> Self {
        match service {
            Service::InService => {
                Self { state: ServiceState::InService, reason: None, until: None }
            }
            Service::OutOfService { reason, until } => Self {
                state: ServiceState::OutOfService,
                reason: (!reason.is_empty()).then(|| reason.to_string()),
                until: until.map(Instant),
            },
        }
    }
}

impl ServiceBody {
    fn checked(self, faults: &mut Vec<Fault>) -> Service {
        match self.state {
            ServiceState::InService => {
                if self.reason.is_some() || self.until.is_some() {
                    let detail = "`reason` and `until` belong to out_of_service; leave them out";
                    faults.push(fault("/service", detail));
                }
                Service::InService
            }
            ServiceState::OutOfService => {
                let reason = self.reason.unwrap_or_default();
                let chars = reason.chars().count();
                if chars > REASON_CHARS_MAX || reason.chars().any(char::is_control) {
                    let max = REASON_CHARS_MAX;
                    let detail =
                        format!("a reason has up to {max} printable characters, not {chars}");
                    faults.push(fault("/service/reason", detail));
                }
                Service::OutOfService { reason: reason.into(), until: self.until.map(|at| at.0) }
            }
        }
    }
}

/// A stretch of time, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Window)]
pub struct WindowBody {
    /// The first instant inside.
    pub from: Instant,
    /// The first instant after.
    pub to: Instant,
}

impl From<Window> for WindowBody {
    fn from(window: Window) -> Self {
        Self { from: Instant(window.from), to: Instant(window.to) }
    }
}

/// A slot. Times and source are left out while nothing was heard of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Slot)]
pub struct SlotBody<'a> {
    /// Identity.
    pub id: Uuid,
    /// Unique in the lot.
    pub code: &'a str,
    /// Its place among the slots of its lot, from 0; never changes. Names it in binary ingest.
    pub number: u16,
    /// Code of its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<&'a str>,
    /// The largest vehicle it takes.
    pub size: Size,
    /// What it offers.
    pub features: Vec<&'a str>,
    /// Codes of the vehicle types it admits; left out when it admits every one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vehicle_types: Vec<&'a str>,
    /// On foot to the nearest entrance or exit for people, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk_metres: Option<u16>,
    /// What a sign shows.
    pub status: Status,
    /// Since when it is occupied, empty or silent, as observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
    /// Observed time of the newest recorded reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Instant>,
    /// Receipt of the newest recorded reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Instant>,
    /// Who said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// How sure the source is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The sensor's health.
    pub sensor: Sensor,
    /// Whether it can be used.
    pub service: ServiceBody,
    /// The promise that holds it now, or the next one in the coming 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<WindowBody>,
    /// Changes of its service state and attributes: the value of its `ETag`.
    pub version: u32,
    /// Code of its lot.
    pub lot: &'a str,
    /// The lot's sequence it is as of.
    pub seq: u64,
}

impl<'a> SlotBody<'a> {
    /// Of a view; nothing for a slot that is not there.
    #[must_use]
    pub fn of(view: &'a LotView, slot: SlotIndex, now: Timestamp) -> Option<Self> {
        let spec = view.spec();
        let attributes = spec.slot(slot)?;
        let promise = view.lot.promise(slot)?;
        let state = view.slots.get(slot.at())?;
        let hearing = state.hearing.as_ref();
        Some(Self {
            id: attributes.id.0,
            code: &attributes.code,
            number: slot.0,
            zone: zone_code(spec, attributes),
            size: attributes.size.into(),
            features: feature_names(spec, attributes),
            vehicle_types: type_names(spec, attributes.vehicle_types),
            walk_metres: attributes.walk_metres,
            status: view.status(slot).into(),
            since: state.silent_since.or(hearing.map(|heard| heard.since)).map(Instant),
            observed_at: hearing.map(|heard| Instant(heard.mark.observed_at)),
            received_at: hearing.map(|heard| Instant(heard.heard_at)),
            source: hearing.map(|heard| heard.source.into()),
            confidence: hearing
                .and_then(|heard| heard.confidence_percent)
                .map(|percent| f64::from(percent) / 100.0),
            sensor: state.health().into(),
            service: (&promise.service).into(),
            reservation: promise_shown(promise, now).map(Into::into),
            version: promise.version,
            lot: &spec.code,
            seq: view.lot_seq,
        })
    }
}

/// Code of a slot's zone.
#[must_use]
pub fn zone_code<'a>(spec: &'a Spec, slot: &SlotSpec) -> Option<&'a str> {
    slot.zone.and_then(|zone| spec.zones.get(zone.at())).map(|zone| &*zone.code)
}

/// Names of a slot's features.
#[must_use]
pub fn feature_names<'a>(spec: &'a Spec, slot: &SlotSpec) -> Vec<&'a str> {
    slot.features.indices().filter_map(|bit| spec.features.get(bit)).map(|name| &**name).collect()
}

/// Names of vehicle types.
#[must_use]
pub fn type_names(spec: &Spec, types: TypeSet) -> Vec<&str> {
    types.indices().filter_map(|bit| spec.vehicle_types.get(bit)).map(|name| &**name).collect()
}

fn promise_shown(promise: &Promise, now: Timestamp) -> Option<Window> {
    let next = promise.timeline.spans().iter().find(|span| span.window.to > now)?;
    let soon = next.window.from < now.plus(Seconds(PROMISE_SHOWN_SECONDS));
    // A lead time longer than a day shows its promise as well.
    let is_shown = promise.shown.is_some_and(|id| next.owner == Owner::Reservation(id));
    (soon || is_shown).then_some(next.window)
}

/// New values of a slot; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SlotPatch, example = json!({"service": {"state": "out_of_service", "reason": "cleaning"}}))]
pub struct SlotPatchBody {
    /// Whether it can be used.
    #[serde(default)]
    pub service: Option<ServiceBody>,
    /// Code of its zone; `null` takes it out of its zone.
    #[serde(default, deserialize_with = "super::present")]
    #[schema(value_type = Option<String>)]
    pub zone: Option<Option<String>>,
    /// The largest vehicle it takes.
    #[serde(default)]
    pub size: Option<Size>,
    /// All that it offers.
    #[serde(default)]
    pub features: Option<Vec<String>>,
    /// Codes of all vehicle types it admits; every one when empty.
    #[serde(default)]
    pub vehicle_types: Option<Vec<String>>,
    /// On foot to the nearest entrance; `null` when it is not known.
    #[serde(default, deserialize_with = "super::present")]
    #[schema(value_type = Option<u16>)]
    pub walk_metres: Option<Option<u16>>,
}

impl SlotPatchBody {
    /// What the engine is told.
    ///
    /// # Errors
    /// A zone the lot does not have, features that are not codes, a reason that is none.
    pub fn checked(self, spec: &Spec) -> Result<SlotPatch, Vec<Fault>> {
        let mut faults = Vec::new();
        let service = self.service.map(|service| service.checked(&mut faults));
        let zone = self.zone.map(|code| {
            code.and_then(|code| {
                let position = spec.zones.iter().position(|zone| *zone.code == *code);
                if position.is_none() {
                    faults.push(unknown_zone("/zone", &code));
                }
                position.and_then(|at| u16::try_from(at).ok()).map(lotkeeper_engine::ids::ZoneIndex)
            })
        });
        let features = self.features.map(|names| {
            for (at, name) in names.iter().enumerate() {
                check_feature(format!("/features/{at}"), name, &mut faults);
            }
            names.into_iter().map(Into::into).collect()
        });
        let boxed = |names: Vec<String>| names.into_iter().map(Into::into).collect();
        let patch = SlotPatch {
            service,
            zone,
            size: self.size.map(Into::into),
            features,
            vehicle_types: self.vehicle_types.map(boxed),
            walk_metres: self.walk_metres,
        };
        if faults.is_empty() { Ok(patch) } else { Err(faults) }
    }
}

/// A zone that the lot does not have.
#[must_use]
pub fn unknown_zone(pointer: impl Into<String>, code: &str) -> Fault {
    let shown: String = code.chars().take(80).collect();
    fault(pointer, format!("`{shown}` is not the code of a zone of this lot"))
}

/// Features are codes, and none is the name of a size: `by_type` lists both side by side.
pub fn check_feature(pointer: String, name: &str, faults: &mut Vec<Fault>) {
    if !is_code(name) {
        faults.push(code_fault(pointer, name));
    } else if Size::of(name).is_some() {
        faults.push(fault(pointer, format!("`{name}` is the name of a size; use another name")));
    }
}

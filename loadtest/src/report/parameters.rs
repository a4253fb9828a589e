//! What a run was asked to do, as the report repeats it.

use crate::scenario::Plan;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Parameters {
    pub warm_up_seconds: f64,
    pub ramp_seconds: f64,
    pub duration_seconds: f64,
    pub lots: usize,
    pub slots_per_lot: usize,
    pub ingest_connections: usize,
    pub batch: usize,
    pub encoding: &'static str,
    pub in_flight: usize,
    /// Full speed when there is none.
    pub rate_per_second: Option<f64>,
    pub bookers: usize,
    /// Full speed when there is none.
    pub bookings_per_second: Option<f64>,
    /// Of a hundred bookings.
    pub contended_percent: u32,
    pub any_slot_percent: u32,
    pub change_percent: u32,
    pub short_percent: u32,
    /// Of a hundred cars, those never seen before.
    pub newcomer_percent: u32,
    pub subscribers: usize,
    pub lots_per_subscriber: usize,
    pub reads_per_second: f64,
    pub arrivals: &'static str,
    pub spike_factor: Option<f64>,
    pub seed: u64,
    pub client_threads: usize,
}

impl Parameters {
    pub fn of(plan: &Plan) -> Self {
        Self {
            warm_up_seconds: plan.warm_up.as_secs_f64(),
            ramp_seconds: plan.ramp.as_secs_f64(),
            duration_seconds: plan.duration.as_secs_f64(),
            lots: plan.lots,
            slots_per_lot: plan.slots,
            ingest_connections: plan.ingest_connections,
            batch: plan.batch,
            encoding: plan.encoding.name(),
            in_flight: plan.in_flight,
            rate_per_second: plan.rate,
            bookers: plan.bookers,
            bookings_per_second: plan.booking_rate,
            contended_percent: plan.mix.contended_percent,
            any_slot_percent: plan.mix.any_slot_percent,
            change_percent: plan.mix.change_percent,
            short_percent: plan.mix.short_percent,
            newcomer_percent: plan.mix.newcomer_percent,
            subscribers: plan.subscribers,
            lots_per_subscriber: plan.lots_per_subscriber,
            reads_per_second: plan.read_rate,
            arrivals: plan.arrivals.name(),
            spike_factor: plan.spike.map(|spike| spike.factor),
            seed: plan.seed,
            client_threads: plan.threads,
        }
    }
}

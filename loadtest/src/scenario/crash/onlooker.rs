//! Somebody who reads: figures, slots, reservations. What he sees is held against the log at its sequence.

use super::history::Told;
use super::log::{AvailabilityShown, SlotShown, Standing};
use super::stage::{Broken, Phase, Stage, pause};
use crate::http::{Answer, HttpClient};
use crate::target::Role;
use crate::wire::Page;
use rand::RngExt;
use rand::rngs::SmallRng;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::sync::watch;

/// Between two reads.
const PAUSE_MS: std::ops::Range<u64> = 4..16;

/// One who reads.
#[derive(Debug)]
pub struct Onlooker {
    stage: Arc<Stage>,
    client: HttpClient,
    luck: SmallRng,
    /// Bayed lots come first; only they count by status.
    bayed: usize,
}

impl Onlooker {
    pub fn new(number: usize, bayed: usize, stage: &Arc<Stage>) -> Self {
        let luck = stage.luck(3_000 + number as u64);
        let client = stage.client(Role::Operator, 0);
        Self { stage: Arc::clone(stage), client, luck, bayed }
    }

    /// Reads until the load ends.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) {
        loop {
            match super::stage::ready(&mut phase).await {
                Phase::Settle | Phase::End => return,
                Phase::Up | Phase::Down | Phase::Idle => {}
            }
            let lot = self.luck.random_range(0..self.stage.fleet.lots.len());
            match self.luck.random_range(0..3) {
                0 if lot < self.bayed => look_at_counts(&self.stage, &mut self.client, lot).await,
                1 => look_at_some(&self.stage, &mut self.client, lot).await,
                _ => look_at_slots(&self.stage, &mut self.client, lot).await,
            }
            pause(&mut self.luck, PAUSE_MS).await;
        }
    }
}

/// The figures of a lot.
pub async fn look_at_counts(stage: &Stage, client: &mut HttpClient, lot: usize) {
    let code = stage.fleet.lots[lot].code.clone();
    let path = format!("/api/v1/lots/{code}/availability");
    let Some(shown) = ask::<AvailabilityShown>(stage, client, &path).await else { return };
    stage.epoch(&shown.epoch);
    let AvailabilityShown { seq, counts, .. } = shown;
    stage.told(Told::Counts { lot: code, seq, counts, by: "availability" });
}

/// All slots of a lot: one page, so one sequence.
pub async fn look_at_slots(stage: &Stage, client: &mut HttpClient, lot: usize) {
    let code = stage.fleet.lots[lot].code.clone();
    let path = format!("/api/v1/lots/{code}/slots?limit=500");
    let Some(page) = ask::<Page<SlotShown>>(stage, client, &path).await else { return };
    let seq = page.items.first().map_or(0, |slot| slot.seq);
    let statuses = page.items.iter().map(|slot| slot.status).collect();
    stage.told(Told::Slots { lot: code, seq, statuses, by: "the list of slots" });
}

/// Some reservations of a lot.
async fn look_at_some(stage: &Stage, client: &mut HttpClient, lot: usize) {
    let code = &stage.fleet.lots[lot].code;
    let path = format!("/api/v1/reservations?lot={code}&state=held,confirmed&limit=20");
    let Some(page) = ask::<Page<Standing>>(stage, client, &path).await else { return };
    page.items.into_iter().for_each(|standing| stage.told(Told::Shown(standing)));
}

/// One reservation that was granted.
pub async fn look_at(stage: &Stage, client: &mut HttpClient, granted: &Standing) {
    let path = format!("/api/v1/reservations/{}", granted.id);
    let Some(answer) = stage.get(client, &path).await else { return };
    if answer.status == 404 {
        let (id, lot) = (granted.id.clone(), granted.lot.clone());
        return stage.told(Told::Absent { id, lot });
    }
    if let Some(standing) = read::<Standing>(stage, &path, &answer) {
        stage.told(Told::Shown(standing));
    }
}

async fn ask<T: DeserializeOwned>(stage: &Stage, client: &mut HttpClient, path: &str) -> Option<T> {
    let answer = stage.get(client, path).await?;
    read(stage, path, &answer)
}

fn read<T: DeserializeOwned>(stage: &Stage, path: &str, answer: &Answer) -> Option<T> {
    if answer.status != 200 {
        stage.error(format!("read {}", answer.problem()));
        return None;
    }
    match answer.json() {
        Ok(read) => Some(read),
        Err(error) => {
            stage.fault(Broken::Reads, format!("GET {path}: {error}"));
            None
        }
    }
}

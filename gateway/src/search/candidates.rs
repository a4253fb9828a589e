//! Who may come onto a page of a search: lots from the index, batch by batch, in the order of the list.

use lotkeeper_actors::{Engine, LotHandle, Near, Place};

use super::Search;

/// The first batch has what a page takes when every candidate fits; the next ones are larger and larger, so
/// that a list of which little fits is not begun again and again.
const BATCH_GROWTH: usize = 4;

/// Candidates one after the other. No guard is held between two of them.
pub(super) struct Candidates<'a> {
    pub search: &'a Search,
    pub engine: &'a Engine,
    pub tenant: &'a str,
    pub may_see: &'a dyn Fn(&LotHandle) -> bool,
    pub after: Option<Place>,
    pub batch: usize,
    pub ready: std::vec::IntoIter<Near>,
    pub is_last: bool,
}

impl Iterator for Candidates<'_> {
    type Item = Near;

    fn next(&mut self) -> Option<Near> {
        if self.ready.len() == 0 && !self.is_last {
            let Self { search, tenant, batch, may_see, .. } = *self;
            let page = (self.after.as_ref(), batch);
            let lots = self.engine.lots_in_order(tenant, &search.sought(), may_see, page);
            self.is_last = lots.len() < batch;
            self.after = lots.last().map(Near::place);
            self.batch = batch.saturating_mul(BATCH_GROWTH);
            self.ready = lots.into_iter();
        }
        self.ready.next()
    }
}

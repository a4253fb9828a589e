//! What a search asks of a lot apart from its place and its room, and what is kept of each lot to answer it.
//!
//! Invariant: facts may let a lot through that does not fit (they hold hashes, and speak of a lot's slots as if
//! they were one), and never keep back one that does. Absent: what changes with every reading.

use std::hash::{BuildHasher, Hash};

use lotkeeper_engine::spec::{Kind, Listing, Size, Spec, TypeSet};

/// What a search asks of a lot; what is `None` or empty is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whether it is offered.
    pub listing: Option<Listing>,
    /// How it knows its occupancy.
    pub kind: Option<Kind>,
    /// Its city, whatever the case of its letters.
    pub city: Option<String>,
    /// Its category.
    pub category: Option<String>,
    /// Names of features, each of which some slot has.
    pub features: Vec<String>,
    /// The size of a vehicle that some slot takes.
    pub vehicle_size: Option<Size>,
    /// The type of a vehicle that some slot admits.
    pub vehicle_type: Option<String>,
}

/// What a lot says to the questions of a [`Filter`], in six words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    city: u64,
    category: u64,
    features: u64,
    /// All bits where a slot admits every type.
    vehicle_types: u64,
    size_max: Option<Size>,
    listing: Listing,
    kind: Kind,
}

/// The facts that a filter wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    listing: Option<Listing>,
    kind: Option<Kind>,
    city: Option<u64>,
    category: Option<u64>,
    features: u64,
    vehicle_types: u64,
    size: Option<Size>,
}

fn hash(text: &(impl Hash + ?Sized)) -> u64 {
    foldhash::fast::FixedState::default().hash_one(text)
}

/// One bit of 64 for each name.
fn bits<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    names.fold(0, |bits, name| bits | 1 << (hash(name) & 63))
}

impl Facts {
    pub fn of(spec: &Spec) -> Self {
        let admits_all = spec.slots.iter().any(|slot| slot.vehicle_types == TypeSet::default());
        let named = bits(spec.vehicle_types.iter().map(|name| &**name));
        Self {
            listing: spec.about.listing,
            kind: spec.kind,
            city: spec.place.city.as_ref().map_or(0, |city| hash(city.to_lowercase().as_str())),
            category: spec.about.category.as_deref().map_or(0, hash),
            features: bits(spec.features.iter().map(|name| &**name)),
            vehicle_types: if admits_all { u64::MAX } else { named },
            size_max: spec.slots.iter().map(|slot| slot.size).max(),
        }
    }
}

impl Filter {
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            listing: self.listing,
            kind: self.kind,
            city: self.city.as_ref().map(|city| hash(city.to_lowercase().as_str())),
            category: self.category.as_deref().map(hash),
            features: bits(self.features.iter().map(String::as_str)),
            vehicle_types: bits(self.vehicle_type.iter().map(String::as_str)),
            size: self.vehicle_size,
        }
    }

    /// Whether a lot is what is asked for, to the letter.
    #[must_use]
    pub fn fits(&self, spec: &Spec) -> bool {
        let city = spec.place.city.as_deref();
        let is_city =
            |wanted: &String| city.is_some_and(|city| city.to_lowercase() == wanted.to_lowercase());
        let types = self.vehicle_type.as_ref().map(|name| {
            let bit = spec.vehicle_types.iter().position(|known| **known == **name);
            TypeSet(bit.map_or(0, |bit| 1 << bit))
        });
        self.listing.is_none_or(|listing| spec.about.listing == listing)
            && self.kind.is_none_or(|kind| spec.kind == kind)
            && self.city.as_ref().is_none_or(is_city)
            && self
                .category
                .as_deref()
                .is_none_or(|name| spec.about.category.as_deref() == Some(name))
            && self.features.iter().all(|name| spec.features.iter().any(|known| **known == **name))
            && self.vehicle_size.is_none_or(|size| spec.slots.iter().any(|slot| slot.size >= size))
            && types
                .is_none_or(|types| spec.slots.iter().any(|slot| slot.vehicle_types.admits(types)))
    }
}

impl Wanted {
    pub fn may_be(&self, facts: &Facts) -> bool {
        self.listing.is_none_or(|listing| facts.listing == listing)
            && self.kind.is_none_or(|kind| facts.kind == kind)
            && self.city.is_none_or(|city| facts.city == city)
            && self.category.is_none_or(|category| facts.category == category)
            && facts.features & self.features == self.features
            && facts.vehicle_types & self.vehicle_types == self.vehicle_types
            && self.size.is_none_or(|size| facts.size_max >= Some(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lotkeeper_engine::spec::SlotSpec;

    #[test]
    fn facts_never_keep_back_a_lot_that_fits() {
        let mut spec = Spec::default();
        spec.place.city = Some("ÜBERLINGEN".into());
        spec.about.category = Some("mall".into());
        spec.features = ["ev", "covered", "accessible"].map(Into::into).into();
        spec.vehicle_types = ["van", "taxi"].map(Into::into).into();
        let slot =
            |size, types| SlotSpec { size, vehicle_types: TypeSet(types), ..SlotSpec::default() };
        spec.slots = vec![slot(Size::Compact, 1), slot(Size::Large, 1)];
        let text = |text: &str| Some(text.to_owned());
        let features = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        for (filter, fits) in [
            (Filter::default(), true),
            (Filter { city: text("überlingen"), ..Filter::default() }, true),
            (Filter { city: text("Bath"), ..Filter::default() }, false),
            (Filter { category: text("mall"), ..Filter::default() }, true),
            (Filter { category: text("Mall"), ..Filter::default() }, false),
            (Filter { features: features(&["ev", "accessible"]), ..Filter::default() }, true),
            (Filter { features: features(&["ev", "helipad"]), ..Filter::default() }, false),
            (Filter { kind: Some(Kind::Bayed), ..Filter::default() }, true),
            (Filter { kind: Some(Kind::Counted), ..Filter::default() }, false),
            (Filter { listing: Some(Listing::Listed), ..Filter::default() }, true),
            (Filter { listing: Some(Listing::Paused), ..Filter::default() }, false),
            (Filter { vehicle_size: Some(Size::Large), ..Filter::default() }, true),
            (Filter { vehicle_size: Some(Size::Oversized), ..Filter::default() }, false),
            (Filter { vehicle_type: text("van"), ..Filter::default() }, true),
            (Filter { vehicle_type: text("taxi"), ..Filter::default() }, false),
            (Filter { vehicle_type: text("lorry"), ..Filter::default() }, false),
        ] {
            assert_eq!(filter.fits(&spec), fits, "{filter:?}");
            assert!(!fits || filter.wanted().may_be(&Facts::of(&spec)), "{filter:?}");
        }
        spec.slots.push(slot(Size::Compact, 0));
        let any = Filter { vehicle_type: text("lorry"), ..Filter::default() };
        assert!(any.fits(&spec) && any.wanted().may_be(&Facts::of(&spec)), "a slot admits all");
        let none = Filter { vehicle_size: Some(Size::Motorcycle), ..Filter::default() };
        assert!(!none.wanted().may_be(&Facts::of(&Spec::default())), "no slot, no size");
    }
}

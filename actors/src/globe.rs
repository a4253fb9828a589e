//! Places on the earth as points of the unit sphere in space.
//!
//! The straight line through the earth orders as the great circle does: neither the poles nor the date line
//! are special.

use lotkeeper_engine::spec::Position;

/// The mean radius of the earth.
const EARTH_RADIUS_KM: f64 = 6_371.0;
const METRES_PER_KM: f64 = 1_000.0;
const MICRODEGREES: f64 = 1e6;

/// On the unit sphere.
pub(crate) type Point = [f64; 3];

pub(crate) fn point(position: Position) -> Point {
    let radians = |microdegrees: i32| (f64::from(microdegrees) / MICRODEGREES).to_radians();
    let (lat, lon) = (radians(position.lat_microdegrees), radians(position.lon_microdegrees));
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

/// The straight line from one point to another, squared.
pub(crate) fn chord_2(one: &Point, two: &Point) -> f64 {
    one.iter().zip(two).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Along the great circle.
pub(crate) fn km_of(chord_2: f64) -> f64 {
    2.0 * EARTH_RADIUS_KM * (chord_2.sqrt() / 2.0).min(1.0).asin()
}

/// Along the great circle, in whole metres: at most half the earth, and never negative.
pub(crate) fn metres_of(chord_2: f64) -> u32 {
    (km_of(chord_2) * METRES_PER_KM).round() as u32
}

/// Beyond half the way around there is nothing.
fn chord_2_of(km: f64) -> f64 {
    let half_angle = (km / (2.0 * EARTH_RADIUS_KM)).clamp(0.0, std::f64::consts::FRAC_PI_2);
    4.0 * half_angle.sin().powi(2)
}

/// A circle on the earth. Whole metres decide who is inside, as they are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disc {
    pub centre: Point,
    /// A metre more: rounding must not drop the edge.
    pub reach: f64,
    radius_metres: f64,
}

/// No point this many metres away, as they are shown, has a longer line.
pub(crate) fn chord_2_beyond(metres: u32) -> f64 {
    chord_2_of((f64::from(metres) + 1.0) / METRES_PER_KM)
}

/// No point this many metres away, as they are shown, has a shorter line.
pub(crate) fn chord_2_before(metres: u32) -> f64 {
    chord_2_of((f64::from(metres) - 1.0).max(0.0) / METRES_PER_KM)
}

impl Disc {
    pub fn new(centre: Position, radius_km: f64) -> Self {
        let reach = chord_2_of(radius_km + 1.0 / METRES_PER_KM);
        Self { centre: point(centre), reach, radius_metres: radius_km * METRES_PER_KM }
    }

    /// How far a point inside is from the centre.
    pub fn metres_to(&self, point: &Point) -> Option<u32> {
        let chord_2 = chord_2(point, &self.centre);
        if chord_2 > self.reach {
            return None;
        }
        Some(metres_of(chord_2)).filter(|metres| f64::from(*metres) <= self.radius_metres)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(lat: f64, lon: f64) -> Position {
        let micro = |degrees: f64| (degrees * MICRODEGREES).round() as i32;
        Position { lat_microdegrees: micro(lat), lon_microdegrees: micro(lon) }
    }

    #[test]
    fn the_straight_line_gives_the_great_circle_and_back() {
        for (one, two, km) in [
            ((52.52, 13.405), (48.8566, 2.3522), 877.46),
            ((0.0, -179.9), (0.0, 179.9), 22.24),
            ((90.0, 0.0), (90.0, 123.0), 0.0),
            ((89.9, 0.0), (89.9, 180.0), 22.24),
            ((10.0, 20.0), (-10.0, -160.0), 20_015.09),
            ((52.52, 13.4), (52.520_009, 13.4), 0.001),
        ] {
            let chord_2 = chord_2(&point(position(one.0, one.1)), &point(position(two.0, two.1)));
            assert!((km_of(chord_2) - km).abs() < 0.01, "{one:?} {two:?}: {}", km_of(chord_2));
            assert!((km_of(chord_2_of(km)) - km).abs() < 0.01, "{km}");
        }
        assert!((km_of(chord_2_of(99_999.0)) - 20_015.09).abs() < 0.01, "there is no further");
    }

    #[test]
    fn the_edge_of_a_circle_is_inside() {
        let (here, there) = (position(52.52, 13.4), position(52.53, 13.4));
        let metres = Disc::new(here, 2.0).metres_to(&point(there)).unwrap();
        let circle = |metres: u32| Disc::new(here, f64::from(metres) / METRES_PER_KM);
        assert_eq!(circle(metres).metres_to(&point(there)), Some(metres));
        assert_eq!(circle(metres - 1).metres_to(&point(there)), None);
    }
}

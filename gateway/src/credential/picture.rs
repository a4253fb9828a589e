//! A text as a QR code, to show on a screen or to print.
//!
//! Error correction Q, a quarter of the code may be gone: a token fills version 4 (33 by 33 modules) either way, so
//! that what Q adds to M costs no module, and H would make the code larger. The quiet zone is the four modules that
//! ISO/IEC 18004 asks for; pages may not cut it. Black on white, never the other way round or transparent: not
//! every scanner reads it on a dark page. Deliberately absent: logos and colours.

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

/// White modules on every side.
pub const QUIET_MODULES: usize = 4;
/// A module this large makes a token 1,640 pixels wide: enough for a poster.
pub const PIXELS_PER_MODULE_MAX: u32 = 40;
/// Longer texts make codes that a scanner does not read from a phone.
pub const TEXT_BYTES_MAX: usize = 512;

/// A text that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a QR code takes at most {TEXT_BYTES_MAX} bytes; this text has {bytes}")]
pub struct TooLong {
    /// Bytes it has.
    pub bytes: usize,
}

/// A QR code.
pub struct Picture(QrCode);

impl Picture {
    /// Of a text.
    ///
    /// # Errors
    /// A text that is too long.
    pub fn of(text: &str) -> Result<Self, TooLong> {
        let bytes = text.len();
        if bytes > TEXT_BYTES_MAX {
            return Err(TooLong { bytes });
        }
        let code = QrCode::with_error_correction_level(text, EcLevel::Q);
        code.map(Self).map_err(|_| TooLong { bytes })
    }

    /// Modules of one side, without the quiet zone.
    #[must_use]
    pub fn modules(&self) -> usize {
        self.0.width()
    }

    /// As SVG, whose unit is so many pixels per module; it can be shown at any size.
    #[must_use]
    pub fn svg(&self, pixels_per_module: u32) -> String {
        let pixels = pixels_per_module.clamp(1, PIXELS_PER_MODULE_MAX);
        let mut renderer = self.0.render::<svg::Color<'_>>();
        renderer.quiet_zone(true).module_dimensions(pixels, pixels).build()
    }

    /// As PNG, one bit per pixel.
    #[must_use]
    pub fn png(&self, pixels_per_module: u32) -> Vec<u8> {
        let pixels = pixels_per_module.clamp(1, PIXELS_PER_MODULE_MAX);
        let side = self.modules() + 2 * QUIET_MODULES;
        let width = u32::try_from(side).unwrap_or(u32::MAX) * pixels;
        let scale = usize::try_from(pixels).unwrap_or(1);
        let mut rows = Vec::new();
        for y in 0..side {
            let row = (0..side * scale).map(|x| self.is_white(x / scale, y));
            let row = packed(row);
            (0..scale).for_each(|_| rows.extend_from_slice(&row));
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, width);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&rows)?;
            writer.finish()
        });
        written.expect("rows fit the header, and memory takes what is written");
        file
    }

    /// With the quiet zone.
    fn is_white(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET_MODULES).filter(|at| *at < self.modules());
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => self.0[(x, y)] == qrcode::Color::Light,
            _ => true,
        }
    }
}

/// Eight pixels to a byte, the first in the highest bit, white as one; rows end with their byte.
fn packed(row: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (x, white) in row.enumerate() {
        if x % 8 == 0 {
            bytes.push(0);
        }
        if let Some(last) = bytes.last_mut().filter(|_| white) {
            *last |= 0x80 >> (x % 8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "CEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    /// Grey values, row by row.
    struct Raster {
        side: usize,
        grey: Vec<u8>,
    }

    impl Raster {
        /// What a decoder that shares nothing with the encoder reads, and the version it found.
        fn read(&self) -> Option<(String, usize)> {
            let grey = |x, y| self.grey[y * self.side + x];
            let mut image = rqrr::PreparedImage::prepare_from_greyscale(self.side, self.side, grey);
            let grids = image.detect_grids();
            let (meta, text) = grids.first()?.decode().ok()?;
            Some((text, meta.version.0))
        }

        fn of_png(file: &[u8]) -> Self {
            let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
            decoder.set_transformations(png::Transformations::EXPAND);
            let mut reader = decoder.read_info().unwrap();
            let mut grey = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut grey).unwrap();
            assert_eq!((info.width, info.color_type), (info.height, png::ColorType::Grayscale));
            Self { side: info.width as usize, grey }
        }

        /// Fills the rectangles of the one path, as a browser does.
        fn of_svg(text: &str) -> Self {
            let document = roxmltree::Document::parse(text).unwrap();
            let svg = document.root_element();
            let side: usize = svg.attribute("width").unwrap().parse().unwrap();
            assert_eq!(svg.attribute("viewBox").unwrap(), format!("0 0 {side} {side}"));
            let find = |name| svg.children().find(|node| node.has_tag_name(name)).unwrap();
            let tag = |name| ("http://www.w3.org/2000/svg", name);
            assert_eq!(find(tag("rect")).attribute("fill"), Some("#fff"));
            let path = find(tag("path"));
            assert_eq!(path.attribute("fill"), Some("#000"));
            let mut raster = Self { side, grey: vec![255; side * side] };
            for rectangle in path.attribute("d").unwrap().split('M').skip(1) {
                let numbers = rectangle.split(|c: char| !c.is_ascii_digit());
                let numbers: Vec<usize> = numbers.map(|number| number.parse().unwrap()).collect();
                let [left, top, width, height, back_left, back_top] = numbers[..] else { panic!() };
                assert_eq!((left, top), (back_left, back_top));
                raster.fill((left, top), (width, height), 0);
            }
            raster
        }

        fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), to: u8) {
            for y in top..top + height {
                self.grey[y * self.side + left..][..width].fill(to);
            }
        }
    }

    #[test]
    fn a_token_is_read_from_both_pictures_by_somebody_else() {
        let picture = Picture::of(TOKEN).unwrap();
        assert_eq!(picture.modules(), 33, "version 4");
        for pixels in [3, 8] {
            let side = (33 + 2 * QUIET_MODULES) * pixels as usize;
            let (png, svg) = (picture.png(pixels), picture.svg(pixels));
            let pictures = [Raster::of_png(&png), Raster::of_svg(&svg)];
            assert!(pictures[0].grey == pictures[1].grey, "both show the same");
            for raster in pictures {
                assert_eq!(raster.side, side);
                assert_eq!(raster.read(), Some((TOKEN.to_owned(), 4)));
                let quiet = QUIET_MODULES * pixels as usize;
                let border = raster.grey.chunks(side).enumerate().all(|(y, row)| {
                    let inside = (quiet..side - quiet).contains(&y);
                    let white = |part: &[u8]| part.iter().all(|grey| *grey == 255);
                    white(&row[..quiet]) && white(&row[side - quiet..]) && (inside || white(row))
                });
                assert!(border, "four white modules all round");
            }
        }
    }

    #[test]
    fn a_code_with_a_blot_is_still_read() {
        let picture = Picture::of(TOKEN).unwrap();
        let mut raster = Raster::of_png(&picture.png(8));
        // A ninth of the data, in the middle, away from the marks that a scanner looks for.
        raster.fill((18 * 8, 17 * 8), (9 * 8, 9 * 8), 255);
        assert_eq!(raster.read().map(|read| read.0).as_deref(), Some(TOKEN));
    }

    #[test]
    fn any_text_of_the_length_is_drawn_and_longer_ones_are_refused() {
        for text in ["", "a", "4K7T-9X2C", "https://example.org/b?t=ä", &"x".repeat(TEXT_BYTES_MAX)]
        {
            let raster = Raster::of_png(&Picture::of(text).unwrap().png(4));
            assert_eq!(raster.read().map(|read| read.0).as_deref(), Some(text));
        }
        let bytes = TEXT_BYTES_MAX + 1;
        assert_eq!(Picture::of(&"x".repeat(bytes)).err(), Some(TooLong { bytes }));
    }

    #[test]
    fn sizes_nobody_means_are_the_nearest_that_somebody_does() {
        let picture = Picture::of(TOKEN).unwrap();
        assert_eq!(picture.png(0), picture.png(1));
        assert_eq!(picture.svg(u32::MAX), picture.svg(PIXELS_PER_MODULE_MAX));
    }
}

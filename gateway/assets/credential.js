// What a text is by its form: the signed token of a QR code, the number of a ticket, or a plate. The server decides what
// it is good for; a person can say that it is something else. Absent: reading tokens.
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // Crockford's base32, as tickets have it
const TICKET = /^[0-9A-HJKMNP-TV-Z]{4}[ -]?[0-9A-HJKMNP-TV-Z]{4}$/;
const PLATE_CHARS_MAX = 20;

export const KINDS = ["plate", "ticket", "qr"];

// The last character checks the seven before it, so that hardly any plate of eight characters passes for a ticket.
function isTicket(text) {
  const written = text.toUpperCase();
  if (!TICKET.test(written)) return false;
  const values = [...written.replace(/[ -]/g, "")].map((sign) => DIGITS.indexOf(sign));
  return values.slice(0, 7).reduce((number, value) => number * 32 + value, 0) % 37 === values[7];
}

export function kindOf(text) {
  const bare = text.trim();
  if (isTicket(bare)) return "ticket";
  return [...bare.replace(/[\s.·•-]/g, "")].length > PLATE_CHARS_MAX || /[^\p{L}\p{N}\s.·•\-‐-―]/u.test(bare) ? "qr" : "plate";
}

// Tokens of QR codes are long and say nothing to people.
export const shown = (kind, text) => (kind === "qr" ? `QR …${text.trim().slice(-6)}` : text.trim().toUpperCase());

//! Which country issued a plate: one code for however it is written.
//!
//! Invariants: a [`Country`] is an ISO 3166-1 alpha-2 code, or `XK`, which the standard leaves to its users and
//! plates need. Codes of the ovals on cars and alpha-3 codes lead to it. Where two lists disagree the ISO code
//! counts: `RU` is Russia, not Burundi, whose oval it is. Deliberately absent: names, states and provinces.

/// Alpha-2 and alpha-3 together, as ISO 3166-1 pairs them. Own data because it is 250 facts: libraries that have
/// them bring subdivisions of all countries, a newer compiler or a licence that is not on the list.
const ISO: &str = "\
ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW AXALA \
AZAZE BABIH BBBRB BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN BOBOL BQBES \
BRBRA BSBHS BTBTN BVBVT BWBWA BYBLR BZBLZ CACAN CCCCK CDCOD CFCAF CGCOG CHCHE CICIV CKCOK \
CLCHL CMCMR CNCHN COCOL CRCRI CUCUB CVCPV CWCUW CXCXR CYCYP CZCZE DEDEU DJDJI DKDNK DMDMA \
DODOM DZDZA ECECU EEEST EGEGY EHESH ERERI ESESP ETETH FIFIN FJFJI FKFLK FMFSM FOFRO FRFRA \
GAGAB GBGBR GDGRD GEGEO GFGUF GGGGY GHGHA GIGIB GLGRL GMGMB GNGIN GPGLP GQGNQ GRGRC GSSGS \
GTGTM GUGUM GWGNB GYGUY HKHKG HMHMD HNHND HRHRV HTHTI HUHUN IDIDN IEIRL ILISR IMIMN ININD \
IOIOT IQIRQ IRIRN ISISL ITITA JEJEY JMJAM JOJOR JPJPN KEKEN KGKGZ KHKHM KIKIR KMCOM KNKNA \
KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO LBLBN LCLCA LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA \
LYLBY MAMAR MCMCO MDMDA MEMNE MFMAF MGMDG MHMHL MKMKD MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ \
MRMRT MSMSR MTMLT MUMUS MVMDV MWMWI MXMEX MYMYS MZMOZ NANAM NCNCL NENER NFNFK NGNGA NINIC \
NLNLD NONOR NPNPL NRNRU NUNIU NZNZL OMOMN PAPAN PEPER PFPYF PGPNG PHPHL PKPAK PLPOL PMSPM \
PNPCN PRPRI PSPSE PTPRT PWPLW PYPRY QAQAT REREU ROROU RSSRB RURUS RWRWA SASAU SBSLB SCSYC \
SDSDN SESWE SGSGP SHSHN SISVN SJSJM SKSVK SLSLE SMSMR SNSEN SOSOM SRSUR SSSSD STSTP SVSLV \
SXSXM SYSYR SZSWZ TCTCA TDTCD TFATF TGTGO THTHA TJTJK TKTKL TLTLS TMTKM TNTUN TOTON TRTUR \
TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY UZUZB VAVAT VCVCT VEVEN VGVGB VIVIR \
VNVNM VUVUT WFWLF WSWSM YEYEM YTMYT ZAZAF ZMZMB ZWZWE";

/// A pair and the blank after it.
const PAIR_BYTES: usize = 6;

/// Codes that are neither: ovals of the Vienna convention, and what people and cameras write all the same.
const OVALS: &str = "\
A:AT B:BE C:CU D:DE E:ES F:FR G:GA H:HU I:IT J:JP K:KH L:LU M:MT N:NO P:PT Q:QA S:SE T:TH V:VA Z:ZM \
DY:BJ EL:GR FL:LI KS:KG RA:AR RB:BW RC:TW RG:GN RH:HT RI:ID RL:LB RM:MG RN:NE RP:PH SF:FI UK:GB WD:DM WG:GD \
WL:LC WV:VC XK:XK YV:VE \
BDS:BB BHT:BT BRG:GY BRU:BN BUR:MM CAM:CM CDN:CA CGO:CD EAK:KE EAT:TZ EAU:UG EAZ:TZ GBA:GG GBG:GG GBJ:JE GBM:IM \
GBZ:GI GCA:GT HKJ:JO KSA:SA LAR:LY MAL:MY MGL:MN MOC:MZ NEP:NP NMK:MK RCA:CF RCB:CG RCH:CL RIM:MR RKS:XK RMM:ML \
ROK:KR RSM:SM SLO:SI SME:SR SUD:SD TCH:TD UAE:AE WAG:GM WAL:SL WAN:NG XKX:XK";

/// A country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Every country of the standard.
    pub fn all() -> impl Iterator<Item = Self> {
        let code = |pair: &'static str| pair.as_bytes().first_chunk::<2>().copied().map(Self);
        ISO.split(' ').filter_map(code)
    }

    /// Reads a code of one of the lists, in capitals or not.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let code = code.trim().to_ascii_uppercase();
        if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let found = match code.len() {
            2 => with_alpha_2(&code),
            3 => ISO.split(' ').map(|pair| pair.split_at(2)).find(|pair| pair.1 == code),
            _ => None,
        };
        let found = found.map(|(alpha_2, _)| alpha_2);
        let oval = || {
            let mut ovals = OVALS.split(' ').filter_map(|pair| pair.split_once(':'));
            ovals.find(|(oval, _)| *oval == code).map(|(_, alpha_2)| alpha_2)
        };
        let alpha_2 = found.or_else(oval)?;
        alpha_2.as_bytes().try_into().ok().map(Self)
    }

    /// Reads a region as cameras name it: `de`, `us-ca`, `eu-de`.
    #[must_use]
    pub fn of_region(region: &str) -> Option<Self> {
        let mut parts = region.split('-');
        match parts.next()? {
            "eu" | "EU" => Self::parse(parts.next()?),
            country => Self::parse(country),
        }
    }

    /// The alpha-2 code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Made from ASCII letters only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The pair of an alpha-2 code. Most codes are these, and every plate asks: it is found by halves.
fn with_alpha_2(code: &str) -> Option<(&'static str, &'static str)> {
    let pair = |index: usize| ISO.get(index * PAIR_BYTES..index * PAIR_BYTES + 5);
    let (mut from, mut to) = (0, ISO.len() / PAIR_BYTES + 1);
    while from < to {
        let middle = usize::midpoint(from, to);
        let (alpha_2, alpha_3) = pair(middle)?.split_at(2);
        match alpha_2.cmp(code) {
            std::cmp::Ordering::Less => from = middle + 1,
            std::cmp::Ordering::Greater => to = middle,
            std::cmp::Ordering::Equal => return Some((alpha_2, alpha_3)),
        }
    }
    None
}

impl std::fmt::Display for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_leads_to_one_code() {
        for (code, country) in [
            ("DE", Some("DE")),
            (" d ", Some("DE")),
            ("DEU", Some("DE")),
            ("gb", Some("GB")),
            ("UK", Some("GB")),
            ("GBR", Some("GB")),
            ("F", Some("FR")),
            ("FRA", Some("FR")),
            ("A", Some("AT")),
            ("CH", Some("CH")),
            ("FL", Some("LI")),
            ("EL", Some("GR")),
            ("RKS", Some("XK")),
            // Two lists disagree; ISO counts.
            ("RU", Some("RU")),
            ("ROU", Some("RO")),
            ("BRN", Some("BN")),
            ("CL", Some("CL")),
            ("ES", Some("ES")),
            ("", None),
            ("X", None),
            ("EU", None),
            ("ZZZ", None),
            ("DEUT", None),
            ("D1", None),
            ("Ö", None),
        ] {
            assert_eq!(Country::parse(code).as_ref().map(Country::as_str), country, "{code}");
        }
    }

    #[test]
    fn regions_of_cameras_begin_with_a_country() {
        for (region, country) in [
            ("de", Some("DE")),
            ("us-ca", Some("US")),
            ("eu-fr", Some("FR")),
            ("gb-nir", Some("GB")),
            ("eu", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(
                Country::of_region(region).as_ref().map(Country::as_str),
                country,
                "{region}"
            );
        }
    }

    #[test]
    fn tables_are_well_formed_and_no_oval_hides_behind_an_iso_code() {
        let pairs: Vec<_> = ISO.split(' ').collect();
        assert_eq!(pairs.len(), 249);
        assert!(pairs.iter().all(|pair| pair.len() == 5 && pair.is_ascii()));
        assert!(pairs.is_sorted());
        for pair in pairs {
            let (alpha_2, alpha_3) = pair.split_at(2);
            for code in [alpha_2, alpha_3] {
                assert_eq!(Country::parse(code).as_ref().map(Country::as_str), Some(alpha_2));
            }
        }
        for pair in OVALS.split(' ') {
            let (oval, alpha_2) = pair.split_once(':').unwrap();
            let iso = Country::parse(alpha_2).unwrap();
            assert_eq!(iso.as_str(), alpha_2);
            assert_eq!(Country::parse(oval), Some(iso), "{oval} means something else in ISO 3166");
        }
    }
}

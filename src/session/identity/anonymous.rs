//! Anonymous users.

use super::fields::Identity;
use crate::random;

/// Moons of Jupiter.
const MOONS: [&str; 57] = [
    "Adrastea",
    "Aitne",
    "Amalthea",
    "Ananke",
    "Aoede",
    "Arche",
    "Autonoe",
    "Callirrhoe",
    "Callisto",
    "Carme",
    "Carpo",
    "Chaldene",
    "Cyllene",
    "Dia",
    "Eirene",
    "Elara",
    "Erinome",
    "Ersa",
    "Euanthe",
    "Eukelade",
    "Eupheme",
    "Euporie",
    "Europa",
    "Eurydome",
    "Ganymede",
    "Harpalyke",
    "Hegemone",
    "Helike",
    "Hermippe",
    "Herse",
    "Himalia",
    "Io",
    "Iocaste",
    "Isonoe",
    "Kale",
    "Kallichore",
    "Kalyke",
    "Kore",
    "Leda",
    "Lysithea",
    "Megaclite",
    "Metis",
    "Mneme",
    "Orthosie",
    "Pandia",
    "Pasiphae",
    "Pasithee",
    "Philophrosyne",
    "Praxidike",
    "Sinope",
    "Sponde",
    "Taygete",
    "Thebe",
    "Thelxinoe",
    "Themisto",
    "Thyone",
    "Valetudo",
];

impl Identity {
    /// Creates an anonymous user with a new random name.
    ///
    /// The username is 32 random hexadecimal digits. Name and display name are `Anonymous` and a moon of Jupiter, as
    /// in Jupyter Server; the initials are their first letters.
    ///
    /// # Panics
    ///
    /// If the system's random generator fails.
    pub fn anonymous() -> Self {
        // The distribution of names is not quite uniform; that of usernames is.
        let [drawn] = random::bytes::<1>();
        let moon = MOONS[usize::from(drawn) % MOONS.len()];
        let name = format!("Anonymous {moon}");
        let initials: String = ["A", moon]
            .iter()
            .filter_map(|word| word.chars().next())
            .collect();
        Self::new(&random::hex::<16>())
            .with_name(&name)
            .with_display_name(&name)
            .with_initials(&initials)
    }
}

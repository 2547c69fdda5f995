/* The exponent of a power in text. */
const raised = text => [...text].map(d => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻·"["0123456789−.".indexOf(d)] || "?").join("");

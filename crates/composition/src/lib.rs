//! DESC_composition

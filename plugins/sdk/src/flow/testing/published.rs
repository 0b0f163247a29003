//! The graphs of published examples; their numbers are facts.

use super::unrelated;
use crate::flow::Problem;

/// The graph of H. Topcuoglu, S. Hariri, M.-Y. Wu 2002, figure 2 and table 1: ten tasks on three
/// agents. HEFT's makespan is 80, CPOP's 86; the optimum, proven by a solver, is 73.
pub fn topcuoglu() -> Problem {
    unrelated(
        &[
            &[14.0, 16.0, 9.0],
            &[13.0, 19.0, 18.0],
            &[11.0, 13.0, 19.0],
            &[13.0, 8.0, 17.0],
            &[12.0, 13.0, 10.0],
            &[13.0, 16.0, 9.0],
            &[7.0, 15.0, 11.0],
            &[5.0, 11.0, 14.0],
            &[18.0, 12.0, 20.0],
            &[21.0, 7.0, 16.0],
        ],
        &[
            (0, 1, 18.0),
            (0, 2, 12.0),
            (0, 3, 9.0),
            (0, 4, 11.0),
            (0, 5, 14.0),
            (1, 7, 19.0),
            (1, 8, 16.0),
            (2, 6, 23.0),
            (3, 7, 27.0),
            (3, 8, 23.0),
            (4, 8, 13.0),
            (5, 7, 15.0),
            (6, 9, 17.0),
            (7, 9, 11.0),
            (8, 9, 13.0),
        ],
        3,
    )
}

/// The graph of H. Arabnejad, J. G. Barbosa 2014, figure 1: ten tasks on three agents. PEFT's
/// makespan is 122, HEFT's 133; the optimum, proven by a solver, is 113.
pub fn arabnejad() -> Problem {
    unrelated(
        &[
            &[22.0, 21.0, 36.0],
            &[22.0, 18.0, 18.0],
            &[32.0, 27.0, 43.0],
            &[7.0, 10.0, 4.0],
            &[29.0, 27.0, 35.0],
            &[26.0, 17.0, 24.0],
            &[14.0, 25.0, 30.0],
            &[29.0, 23.0, 36.0],
            &[15.0, 21.0, 8.0],
            &[13.0, 16.0, 33.0],
        ],
        &[
            (0, 1, 17.0),
            (0, 2, 31.0),
            (0, 3, 29.0),
            (0, 4, 13.0),
            (0, 5, 7.0),
            (1, 7, 3.0),
            (1, 8, 30.0),
            (2, 6, 16.0),
            (3, 7, 11.0),
            (3, 8, 7.0),
            (4, 8, 57.0),
            (5, 7, 5.0),
            (6, 9, 9.0),
            (7, 9, 42.0),
            (8, 9, 7.0),
        ],
        3,
    )
}

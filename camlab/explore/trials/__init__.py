"""Further tests of a pair of maps: localisation, faithfulness, averaging, steadiness."""

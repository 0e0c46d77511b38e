"""Load scenarios: what is drawn and judged by pure code, the open loop against a bad server, short runs."""

"""The custom resources as typed values, one file a kind, and the CRDs made from them."""

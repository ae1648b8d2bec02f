"""The router in front of a component that has versions: Envoy, told by files, heard by its log."""

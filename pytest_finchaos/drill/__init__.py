"""The engine of one drill: phases, injections, closing, automatic checks. Knows no pytest."""

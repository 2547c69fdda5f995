from microgrid.engine import Value

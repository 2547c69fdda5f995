"""What pictures are made of: outlines of graphs, Graphviz, pages for a browser."""

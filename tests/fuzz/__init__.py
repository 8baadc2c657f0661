"""Every parser that meets foreign bytes, fed with damaged ones."""

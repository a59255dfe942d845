"""What AWS asks for what: a dated table in the package, or AWS's own Price List"""
